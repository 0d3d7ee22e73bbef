"""Messages in Slack, Discord, Teams and Feishu: their cards, limits and errors."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from support.e2e import Reply, Scripted
from support.mailing import MESSAGE, message_with, send_to_all

from pipeline.core.types import Secret, Severity
from pipeline.delivery.channels import chats, discord, feishu, missing, reach, recipients, slack, teams
from pipeline.delivery.types import DeliveryStatus, Discord, Feishu, Slack, Teams

CHATS = (Slack, Discord, Teams, Feishu)

OK = {Slack: Reply(b"ok"), Discord: Reply(b"{}"), Teams: Reply(b"", 202), Feishu: Reply(b'{"code":0}')}

HOSTILE = "<!channel> @everyone <at id=all></at> <at>all</at> [x](https://evil.example) *b* :DONE: &"
"""An id that would mention people or lead elsewhere, were it markup."""

MARKDOWN = f"""**Action needed**: `{HOSTILE}` removed\\_1.

## Urgent

Removed for [`vip`](https://watch.example/vip)
* `heron-2`
  * input $1 → **$2**

---
"""

CARDS = {Slack: slack.payload, Discord: discord.payload, Teams: teams.payload, Feishu: feishu.payload}


def strings(value):
    """Yield all texts in a card."""
    match value:
        case dict():
            for each in value.values():
                yield from strings(each)
        case list():
            for each in value:
                yield from strings(each)
        case str():
            yield value


@pytest.mark.parametrize("kind", CHATS)
def test_a_chat_gets_one_post_with_the_report_and_is_named_by_its_reference(kind):
    with Scripted(lambda _: OK[kind]) as server:
        channel = kind("env:CHAT")
        assert recipients(channel) == ("env:CHAT",)
        result = send_to_all(
            channel, message_with(markdown=MARKDOWN), secrets={"env:CHAT": f"{server.url}/T0123/B4567"}
        )
    assert (result.status, result.error) == (DeliveryStatus.SENT, None)
    (asked,) = server.requests
    assert (asked.method, asked.path.partition("?")[0]) == ("POST", "/T0123/B4567")
    texts = list(strings(json.loads(asked.body)))
    assert any("Urgent" in text for text in texts)
    assert any("heron" in text for text in texts)
    assert any("https://watch.example/vip" in text for text in texts)
    assert any(MESSAGE.subject[:20] in text.replace("\\", "") for text in texts)


@pytest.mark.parametrize("kind", CHATS)
@pytest.mark.parametrize("size", [10, 3_000, 90_000])
@pytest.mark.parametrize("letter", ["x", "模", "😀", "<"])
def test_a_card_never_exceeds_the_size_that_its_chat_takes(kind, size, letter):
    lines = "\n".join(f"* `{letter * 40}` {number}" for number in range(size // 40))
    card = CARDS[kind](message_with(markdown=f"## Urgent\n{lines}\n", subject=letter * 200))
    body = json.dumps(card, ensure_ascii=False)
    if kind is Discord:
        (embed,) = card["embeds"]
        assert len(embed["description"].encode("utf-16-le")) // 2 <= 4096
        assert len(embed["title"]) <= 256
    elif kind is Slack:
        assert len(card["blocks"]) <= 50
        assert len(json.dumps(card["blocks"], ensure_ascii=False, separators=(",", ":"))) < 13_000
        assert len(card["blocks"][0]["text"]["text"]) <= 150
    assert kind is Slack or len(body.encode()) <= 22_000
    if size != 3_000:
        assert ("The rest is left out" in body) == (size == 90_000)


def test_slack_gets_ids_as_text_without_markup():
    card = slack.payload(message_with(markdown=MARKDOWN, subject="<!here> & co"))
    assert card["text"] == "&lt;!here&gt; &amp; co"
    assert card["blocks"][0]["text"] == {"type": "plain_text", "text": "<!here> & co", "emoji": False}
    rich = card["blocks"][1]
    assert rich["type"] == "rich_text"
    runs = [run for part in rich["elements"] for run in part["elements"]]
    assert {"type": "text", "text": HOSTILE, "style": {"code": True}} in runs
    assert {
        "type": "link",
        "url": "https://watch.example/vip",
        "text": "vip",
        "style": {"code": True},
    } in runs
    lists = [part for part in rich["elements"] if part["type"] == "rich_text_list"]
    assert [part["indent"] for part in lists] == [0, 1]
    assert {run["type"] for run in runs} <= {"text", "link", "rich_text_section"}


def test_discord_mentions_nobody_and_ids_stay_code():
    card = discord.payload(message_with(markdown=MARKDOWN, severity=Severity.URGENT))
    assert card["allowed_mentions"] == {"parse": []}
    (embed,) = card["embeds"]
    assert f"`{HOSTILE}`" in embed["description"]
    assert "### Urgent" in embed["description"]
    assert "[`vip`](<https://watch.example/vip>)" in embed["description"]
    assert "\n  \\- " not in embed["description"]
    assert "\n  - input" in embed["description"]
    assert embed["color"] == 0xC62828


def test_discord_is_asked_to_answer_when_the_message_is_stored():
    with Scripted(lambda _: Reply(b"{}")) as server:
        for url in (f"{server.url}/hook", f"{server.url}/hook?thread_id=7"):
            assert send_to_all(Discord("env:CHAT"), secrets={"env:CHAT": url}).status == DeliveryStatus.SENT
    assert [each.path for each in server.requests] == ["/hook?wait=true", "/hook?thread_id=7&wait=true"]


def test_teams_gets_an_adaptive_card_whose_texts_are_no_markdown():
    card = teams.payload(message_with(markdown=MARKDOWN, severity=Severity.BREAKING))
    (attachment,) = card["attachments"]
    assert card["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    body = attachment["content"]["body"]
    assert {block["type"] for block in body} == {"RichTextBlock"}
    runs = [run for block in body for run in block["inlines"]]
    assert {"type": "TextRun", "text": HOSTILE, "fontType": "Monospace"} in runs
    link = {"type": "Action.OpenUrl", "url": "https://watch.example/vip"}
    assert {"type": "TextRun", "text": "vip", "fontType": "Monospace", "selectAction": link} in runs
    assert "entities" not in str(card)


def test_feishu_gets_a_card_in_which_no_text_is_a_tag():
    card = feishu.payload(message_with(markdown=MARKDOWN, severity=Severity.URGENT))
    assert card["msg_type"] == "interactive"
    assert card["card"]["header"]["template"] == "red"
    (element,) = card["card"]["elements"]
    assert "<" not in element["content"]
    assert "&#60;at id=all&#62;" in element["content"]
    assert "](https://evil.example)" not in element["content"]
    assert "[vip](https://watch.example/vip)" in element["content"]
    assert "**Urgent**" in element["content"]


def test_feishu_signs_with_the_time_in_the_key():
    with Scripted(lambda _: Reply(b'{"code":0,"msg":"success"}')) as server:
        channel = Feishu("env:CHAT", secret="env:KEY")
        secrets = {"env:CHAT": server.url, "env:KEY": "feishu-key-012345"}
        assert send_to_all(channel, secrets=secrets).status == DeliveryStatus.SENT
    (asked,) = server.requests
    body = json.loads(asked.body)
    key = f"{body['timestamp']}\nfeishu-key-012345".encode()
    assert base64.b64decode(body["sign"]) == hmac.new(key, b"", hashlib.sha256).digest()
    assert abs(int(body["timestamp"]) - time.time()) < 600


# https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot,
# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
# https://discord.com/developers/docs/topics/opcodes-and-status-codes
@pytest.mark.parametrize(
    ("kind", "reply", "status", "why"),
    [
        (
            Feishu,
            Reply(b'{"code":19021,"msg":"sign match fail"}'),
            DeliveryStatus.REFUSED,
            "env:CHAT refused (see `secret`, and the clock of this machine): sign match fail (19021)",
        ),
        (
            Feishu,
            Reply(b'{"code":19024,"msg":"No"}'),
            DeliveryStatus.REFUSED,
            (
                "env:CHAT refused (the bot accepts only messages with its keywords: see its settings):"
                " No (19024)"
            ),
        ),
        (
            Feishu,
            Reply(b'{"code":11232,"msg":"frequency limited psm"}'),
            DeliveryStatus.RETRY,
            "env:CHAT asks to slow down: frequency limited psm (11232)",
        ),
        (
            Feishu,
            Reply(b"<html>a login page</html>"),
            DeliveryStatus.RETRY,
            "env:CHAT is not Feishu's answer: see `url`",
        ),
        (
            Slack,
            Reply(b"invalid_payload", 400),
            DeliveryStatus.REFUSED,
            "env:CHAT answered 400 (it does not accept the message): invalid_payload",
        ),
        (
            Slack,
            Reply(b"action_prohibited", 403),
            DeliveryStatus.REFUSED,
            "env:CHAT answered 403 (see `url`, and whether the chat may be posted to): action_prohibited",
        ),
        (
            Slack,
            Reply(b"channel_is_archived", 410),
            DeliveryStatus.REFUSED,
            "env:CHAT answered 410 (it was removed: see `url`): channel_is_archived",
        ),
        (
            Discord,
            Reply(b'{"message": "Unknown Webhook", "code": 10015}', 404),
            DeliveryStatus.REFUSED,
            "env:CHAT answered 404 (see `url`): Unknown Webhook (10015)",
        ),
        (
            Discord,
            Reply(b'{"message": "You are being rate limited.", "retry_after": 64.57}', 429),
            DeliveryStatus.RETRY,
            "env:CHAT answered 429: You are being rate limited.",
        ),
        (
            Teams,
            Reply(b'{"error":{"code":"WorkflowNotFound","message":"The workflow is disabled."}}', 404),
            DeliveryStatus.REFUSED,
            "env:CHAT answered 404 (see `url`): The workflow is disabled. (WorkflowNotFound)",
        ),
    ],
)
def test_an_error_of_a_chat_is_understood(kind, reply, status, why):
    with Scripted(lambda _: reply) as server:
        result = send_to_all(kind("env:CHAT"), secrets={"env:CHAT": f"{server.url}/T0123/B4567"})
    assert (result.status, result.error) == (status, why)


@pytest.mark.parametrize("kind", CHATS)
def test_check_reaches_the_server_of_a_chat_and_names_a_missing_reference(kind):
    def resolve(_):
        return Secret(f"{server.url}/T0123/B4567")

    with Scripted(lambda _: Reply(b"", 404)) as server:
        assert reach(kind("env:CHAT"), resolve) is None
        assert missing(kind("env:CHAT"), resolve) == []
    assert "env:CHAT cannot be reached" in reach(kind("env:CHAT"), resolve)


def test_lines_of_markdown_are_read_as_the_template_writes_them():
    found = chats.lines("a `b`\\_c\n\n## H\n* x\n  * [l `i`](https://a.example/%29)\n---\n**not [closed\n")
    assert [(line.heading, line.depth) for line in found] == [
        (False, 0),
        (True, 0),
        (False, 1),
        (False, 2),
        (False, 0),
    ]
    assert [span.text for span in found[0].spans] == ["a ", "b", "_c"]
    assert [(span.text, span.code, span.url) for span in found[3].spans] == [
        ("l ", False, "https://a.example/%29"),
        ("i", True, "https://a.example/%29"),
    ]
    assert [span.text for span in found[4].spans] == ["**not [closed"]
