"""Shapes of model lists as gateways write them: a few invented records each, and the facts that must be read.

The shapes are those of documentations and of the code of clients, as linked; ids and values are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNKNOWN = "https://llm.example.com/v1"

CATWALK = "https://github.com/charmbracelet/catwalk/blob/main/cmd"
CONF = "https://github.com/ThinkInAIXYZ/PublicProviderConf/blob/main/src/providers"
LOBE = "https://github.com/lobehub/lobe-chat/blob/main/packages/model-runtime/src/providers"
SYNC = "https://github.com/anomalyco/models.dev/blob/dev/packages/core/src/sync/providers"
ROO = "https://github.com/RooCodeInc/Roo-Code/blob/main/src/api/providers/fetchers"


@dataclass(frozen=True)
class Shape:
    """A list in the shape of one gateway.

    Args:
        name: of the gateway or the form.
        body: the answer, or its bytes.
        facts: by model, facts that must be read; None for a fact that must not be.
        url: the configured address.
        config: the lines that the gateway's table needs beside `url`; "" where it needs none.
        source: where the shape is from; "" for forms of unknown gateways.
        more: by model, all prices beside those of the facts, as golden pairs write them; None where they are
            not looked at.
    """

    name: str
    body: Any
    facts: dict[str, dict[str, Any]]
    url: str = UNKNOWN
    config: str = ""
    source: str = ""
    more: dict[str, list[str]] | None = None


def row(model: str, /, **fields: Any) -> dict[str, Any]:
    """Return a record as OpenAI writes it, with other fields."""
    return {"id": model, "object": "model", "created": 1755000000, "owned_by": "north", **fields}


def data(*rows: Any, **envelope: Any) -> dict[str, Any]:
    """Return an envelope like OpenAI's."""
    return {"object": "list", "data": list(rows), **envelope}


def _labelled(into: str, out: str) -> list[dict[str, str]]:
    """Return prices in a list, with labels and their unit."""
    amounts = {"input_token": into, "output_token": out}
    return [{"type": name, "price": price, "price_unit": "Per 1M tokens"} for name, price in amounts.items()]


def prices(
    into: str, out: str | None, read: str | None = None, write: str | None = None, source: str = "exact"
) -> dict[str, Any]:
    """Return facts about prices in USD per 1M tokens."""
    return {
        "input_usd_per_1m": into,
        "output_usd_per_1m": out,
        "cache_read_usd_per_1m": read,
        "cache_write_usd_per_1m": write,
        "price_source": source,
    }


CREATED = {"created": "2025-08-12T12:00:00Z"}
NO_PRICE: dict[str, Any] = {"input_usd_per_1m": None, "output_usd_per_1m": None, "price_source": None}
OPENROUTER_PRICES = {"prompt": "0.00000025", "completion": "0.000001", "request": "0", "image": "0"}
BOTH = ["image", "text"]

OPENAI_LIKE = (
    Shape(
        "OpenAI",
        data(row("lyra-5", shutdown_date="2027-01-31"), row("vega", shutdown_date=None)),
        {
            "lyra-5": {"owned_by": "north", "deprecated_at": "2027-01-31"} | CREATED,
            "vega": {"deprecated_at": None},
        },
        url="https://api.openai.com",
        source="https://platform.openai.com/docs/api-reference/models/list",
    ),
    Shape(
        "DeepSeek",
        data({"id": "lyra-chat", "object": "model", "owned_by": "deepseek"}),
        {"lyra-chat": {"owned_by": "deepseek", "created": None}},
        url="https://api.deepseek.com",
        source="https://api-docs.deepseek.com/api/list-models",
    ),
    Shape(
        "Moonshot",
        data(
            row(
                "lyra-k2",
                context_length=262144,
                supports_image_in=True,
                supports_video_in=False,
                supports_reasoning=True,
            )
        ),
        {"lyra-k2": {"context_length": 262144, "input_modalities": BOTH, "features": ["reasoning"]}},
        url="https://api.moonshot.ai/v1",
        source="https://platform.moonshot.ai/docs/api/list-models",
    ),
    Shape(
        "Groq",
        data(
            row("lyra-8b", active=True, context_window=131072, public_apps=None, max_completion_tokens=8192)
        ),
        {"lyra-8b": {"context_length": 131072, "max_output": 8192, "lifecycle": "active"}},
        url="https://api.groq.com/openai/v1",
        source="https://console.groq.com/docs/models",
    ),
    Shape(
        "Mistral",
        data(
            row(
                "lyra-large",
                capabilities={
                    "completion_chat": True,
                    "vision": True,
                    "function_calling": True,
                    "audio": False,
                },
                max_context_length=131072,
                aliases=["lyra-latest"],
                deprecation="2027-02-28T12:00:00Z",
                type="base",
            )
        ),
        {
            "lyra-large": {
                "context_length": 131072,
                "deprecated_at": "2027-02-28",
                "input_modalities": BOTH,
                "aliases": ["lyra-latest"],
            }
        },
        source="https://docs.mistral.ai/api/#tag/models",
    ),
    Shape(
        "Together",
        [
            {
                "id": "north/lyra",
                "object": "model",
                "created": 1755000000,
                "type": "chat",
                "running": False,
                "organization": "North",
                "context_length": 131072,
                "pricing": {"hourly": 0, "input": 0.02, "output": 0.06, "base": 0, "finetune": 0},
            }
        ],
        {
            "north/lyra": {"context_length": 131072, "owned_by": "North", "type": "chat"}
            | prices("0.02", "0.06")
        },
        source="https://docs.together.ai/reference/models-1",
    ),
    Shape(
        "Perplexity",
        data(row("lyra-pro")),
        {"lyra-pro": CREATED},
        url="https://api.perplexity.ai/v1",
        source="https://docs.perplexity.ai/api-reference/models-get",
    ),
    Shape(
        "SiliconFlow",
        data({"id": "north/lyra", "object": "model", "created": 0, "owned_by": ""}),
        {"north/lyra": {"created": None, "owned_by": None}},
        url="https://api.siliconflow.cn/v1",
        source="https://docs.siliconflow.cn/en/api-reference/models/get-model-list",
    ),
    Shape(
        "ModelScope",
        data({"id": "north/lyra", "object": "model", "owned_by": "system", "created": 1755000000}),
        {"north/lyra": {"owned_by": "system"} | CREATED},
        url="https://api-inference.modelscope.cn/v1",
        source=f"{LOBE}/modelscope/index.ts",
    ),
    Shape(
        "xAI",
        data(
            row(
                "lyra-4",
                max_prompt_length=256000,
                prompt_text_token_price=20000,
                cached_prompt_text_token_price=5000,
                completion_text_token_price=100000,
            )
        ),
        {"lyra-4": {"context_length": 256000} | prices("2", "10", "0.5")},
        url="https://api.x.ai/v1",
        source="https://docs.x.ai/docs/api-reference",
    ),
    Shape(
        "xAI, language models",
        {
            "models": [
                row(
                    "lyra-4",
                    input_modalities=["text", "image"],
                    output_modalities=["text"],
                    prompt_text_token_price=2000,
                    completion_text_token_price=5000,
                    aliases=["lyra-latest"],
                )
            ]
        },
        {"lyra-4": {"input_modalities": BOTH, "aliases": ["lyra-latest"]} | prices("0.2", "0.5")},
        source="https://docs.x.ai/docs/api-reference#list-language-models",
    ),
    Shape(
        "a proxy of xAI",
        data(row("lyra-4", prompt_text_token_price=20000, completion_text_token_price=100000)),
        {"lyra-4": prices("2", "10")},
    ),
    Shape(
        "Azure OpenAI",
        data(
            {
                "id": "lyra-2026",
                "object": "model",
                "status": "succeeded",
                "created_at": 1755000000,
                "lifecycle_status": "generally-available",
                "deprecation": {"fine_tune": 1790000000, "inference": 1800000000},
                "capabilities": {"inference": True, "fine_tune": False},
            }
        ),
        {"lyra-2026": {"lifecycle": "generally-available", "deprecated_at": "2027-01-15"} | CREATED},
        url="https://cobalt.openai.azure.com",
        source="https://learn.microsoft.com/rest/api/azureopenai/models/list",
    ),
    Shape(
        "Portkey",
        data(row("@acme/lyra")),
        {"@acme/lyra": {"owned_by": "north"}},
        url="https://api.portkey.ai/v1",
        source="https://portkey.ai/docs/api-reference/inference-api/models/models",
    ),
    Shape(
        "Featherless",
        data(
            row(
                "north/lyra-12b",
                is_gated=False,
                model_class="lyra-12b-lc",
                context_length=32768,
                max_completion_tokens=4096,
                available_on_current_plan=True,
            )
        ),
        {"north/lyra-12b": {"context_length": 32768, "max_output": 4096} | NO_PRICE},
        url="https://api.featherless.ai/v1",
        source="https://featherless.ai/docs/api-reference-models",
    ),
    Shape(
        "IO Intelligence",
        data(
            row(
                "north/lyra",
                max_tokens=16000,
                context_window=128000,
                supports_images_input=True,
                input_token_price=1.2e-06,
                output_token_price=4.8e-06,
                cache_read_token_price=6e-07,
                cache_write_token_price=2.4e-06,
            )
        ),
        {
            "north/lyra": {"context_length": 128000, "max_output": 16000, "input_modalities": BOTH}
            | prices("1.2", "4.8", "0.6", "2.4")
        },
        url="https://api.intelligence.io.solutions/api/v1",
        source=f"{CATWALK}/ionet/main.go",
    ),
    Shape(
        "Hyperbolic",
        data(
            row(
                "north/lyra",
                number_of_inference_nodes=1,
                type="LLM",
                supports_chat=True,
                supports_image_input=True,
                supports_tools=False,
                context_length=131072,
                input_price=0.4,
                output_price=0.4,
            )
        ),
        {
            "north/lyra": {
                "type": "LLM",
                "context_length": 131072,
                "input_modalities": BOTH,
                "features": ["chat", "image_input"],
            }
            | prices("0.4", "0.4")
        },
        url="https://api.hyperbolic.xyz/v1",
        source="https://docs.hyperbolic.xyz/docs/rest-api",
    ),
    Shape(
        "DeepInfra",
        data(
            row(
                "north/lyra",
                root="north/lyra",
                metadata={
                    "context_length": 131072,
                    "max_tokens": 16384,
                    "pricing": {"input_tokens": 0.02, "output_tokens": 0.05},
                    "tags": ["vision"],
                },
            )
        ),
        {"north/lyra": {"context_length": 131072, "max_output": 16384} | prices("0.02", "0.05")},
        url="https://api.deepinfra.com/v1/openai",
        source=f"{ROO}/deepinfra.ts",
    ),
    Shape(
        "a proxy of DeepInfra",
        data(
            row(
                "north/lyra",
                metadata={"context_length": 131072, "pricing": {"input_tokens": 0.5, "output_tokens": 2}},
            )
        ),
        {"north/lyra": {"context_length": 131072} | prices("0.5", "2")},
    ),
    Shape(
        "Novita",
        data(
            row(
                "north/lyra",
                context_size=131072,
                max_output_tokens=32768,
                model_type="chat",
                status=1,
                features=["function-calling"],
                input_token_price_per_m=5700,
                output_token_price_per_m=23000,
            )
        ),
        {
            "north/lyra": {"context_length": 131072, "type": "chat", "lifecycle": None, "max_output": 32768}
            | prices("0.57", "2.3")
        },
        url="https://api.novita.ai/openai/v1",
        source=f"{LOBE}/novita/index.ts",
    ),
    Shape(
        "JieKou",
        data(
            row(
                "lyra",
                title="Lyra",
                context_size=200000,
                max_output_tokens=64000,
                status=1,
                input_modalities=["text", "image"],
                output_modalities=["text"],
                endpoints=["chat/completions"],
                input_token_price_per_m=30000,
                output_token_price_per_m=150000,
            )
        ),
        {
            "lyra": {"context_length": 200000, "input_modalities": BOTH, "endpoints": ["chat/completions"]}
            | NO_PRICE
        },
        url="https://api.jiekou.ai/openai/v1",
        source=f"{CONF}/JiekouProvider.ts",
    ),
    Shape(
        "PPInfra",
        data(
            row(
                "north/lyra",
                display_name="Lyra",
                context_size=65536,
                max_output_tokens=8192,
                features=["reasoning"],
                model_type="chat",
            )
        ),
        {
            "north/lyra": {
                "context_length": 65536,
                "max_output": 8192,
                "type": "chat",
                "features": ["reasoning"],
            }
        },
        url="https://api.ppinfra.com/openai/v1",
        source=f"{CONF}/PPInfraProvider.ts",
    ),
    Shape(
        "Requesty",
        data(
            row(
                "north/lyra",
                input_price=3e-06,
                output_price=1.5e-05,
                caching_price=3.75e-06,
                cached_price=3e-07,
                max_output_tokens=64000,
                context_window=200000,
                supports_caching=True,
                supports_vision=True,
            )
        ),
        {
            "north/lyra": {
                "context_length": 200000,
                "max_output": 64000,
                "input_modalities": BOTH,
                "features": ["caching", "vision"],
            }
            | prices("3", "15", "0.3", "3.75")
        },
        url="https://router.requesty.ai/v1",
        source=f"{ROO}/requesty.ts",
    ),
    Shape(
        "Friendli",
        {
            "data": [
                {
                    "id": "north/lyra",
                    "max_completion_tokens": 32768,
                    "context_length": 131072,
                    "functionality": {"tool_call": True, "structured_output": True, "builtin_tool": False},
                    "pricing": {"input": 0.1, "output": 0.2, "response_time": None, "unit_type": "TOKEN"},
                }
            ]
        },
        {
            "north/lyra": {"context_length": 131072, "features": ["structured_output", "tool_call"]}
            | prices("0.1", "0.2")
        },
        url="https://api.friendli.ai/serverless/v1",
        source="https://friendli.ai/docs/openapi/serverless/models",
    ),
    Shape(
        "nano-gpt",
        data(
            row(
                "lyra",
                context_length=128000,
                max_output_tokens=16384,
                capabilities={"vision": True},
                pricing={"prompt": 0.04, "completion": 0.08, "currency": "USD", "unit": "per_million_tokens"},
            )
        ),
        {"lyra": {"context_length": 128000, "input_modalities": BOTH} | prices("0.04", "0.08")},
        url="https://nano-gpt.com/api/v1",
        source="https://docs.nano-gpt.com/api-reference/endpoint/models",
    ),
    Shape(
        "Volcengine Ark",
        data(
            row(
                "lyra-pro-250828",
                domain="LLM",
                status="Retiring",
                modalities={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                token_limits={"context_window": 262144, "max_output_token_length": 32768},
                features={"tools": {"function_calling": True}},
            )
        ),
        {
            "lyra-pro-250828": {
                "context_length": 262144,
                "max_output": 32768,
                "lifecycle": "Retiring",
                "input_modalities": BOTH,
                "features": ["function_calling"],
            }
        },
        url="https://ark.cn-beijing.volces.com/api/v3",
        source="https://www.volcengine.com/docs/82379/1330310",
    ),
    Shape(
        "GitHub Copilot",
        data(
            {
                "id": "lyra-5",
                "vendor": "North",
                "preview": True,
                "capabilities": {
                    "type": "chat",
                    "limits": {"max_context_window_tokens": 128000, "max_output_tokens": 16384},
                    "supports": {"tool_calls": True, "vision": True},
                },
            }
        ),
        {
            "lyra-5": {
                "owned_by": "North",
                "context_length": 128000,
                "max_output": 16384,
                "type": "chat",
                "lifecycle": "preview",
                "input_modalities": BOTH,
                "features": ["tool_calls", "vision"],
            }
        },
        url="https://api.githubcopilot.com",
        source=f"{CATWALK}/copilot/main.go",
    ),
    Shape(
        "a proxy of GitHub Copilot",
        data(
            {
                "id": "lyra-5",
                "vendor": "North",
                "capabilities": {"limits": {"max_context_window_tokens": 128000}},
            }
        ),
        {"lyra-5": {"owned_by": "North", "context_length": 128000}},
    ),
    Shape(
        "AI/ML API",
        data(
            {
                "id": "north/lyra",
                "type": "chat-completion",
                "info": {"name": "Lyra", "developer": "North", "contextLength": 128000, "maxTokens": 16000},
                "features": ["openai/chat-completion", "openai/chat-completion.vision"],
                "endpoints": ["/v1/chat/completions"],
            }
        ),
        {
            "north/lyra": {
                "owned_by": "North",
                "type": "chat-completion",
                "context_length": 128000,
                "max_output": 16000,
                "endpoints": ["/v1/chat/completions"],
            }
        },
        url="https://api.aimlapi.com/v1",
        source="https://docs.aimlapi.com/api-references/service-endpoints/complete-model-list",
    ),
    Shape(
        "Avian",
        data(
            {
                "id": "north/lyra",
                "display_name": "Lyra",
                "context_length": 131072,
                "max_output": 16384,
                "reasoning": True,
                "pricing": {
                    "input_per_million": 0.03,
                    "output_per_million": 0.05,
                    "cache_read_per_million": 0.01,
                },
            }
        ),
        {"north/lyra": {"context_length": 131072, "max_output": 16384} | prices("0.03", "0.05", "0.01")},
        url="https://api.avian.io/v1",
        source=f"{CATWALK}/avian/main.go",
    ),
    Shape(
        "Neuralwatt",
        data(
            row(
                "north/lyra",
                max_model_len=131072,
                metadata={
                    "pricing": {
                        "input_per_million": 0.2,
                        "output_per_million": 0.8,
                        "cached_input_per_million": 0.05,
                        "cached_output_per_million": 0.01,
                    },
                    "capabilities": {"tools": True, "vision": True, "reasoning": False},
                    "limits": {"max_output_tokens": 32768},
                    "deprecated": True,
                },
            )
        ),
        {
            "north/lyra": {
                "context_length": 131072,
                "max_output": 32768,
                "features": ["tools", "vision"],
                "input_modalities": BOTH,
                "lifecycle": "deprecated",
            }
            | prices("0.2", "0.8", "0.05")
        },
        url="https://api.neuralwatt.com/v1",
        source=f"{CATWALK}/neuralwatt/main.go",
    ),
    Shape(
        "Cortecs",
        data(
            row(
                "lyra",
                context_size=131072,
                tags=["Tools"],
                pricing={"currency": "EUR", "input_token": 0.4, "output_token": 1.2},
            )
        ),
        {"lyra": {"context_length": 131072} | NO_PRICE},
        url="https://api.cortecs.ai/v1",
        source=f"{CATWALK}/cortecs/main.go",
    ),
    Shape(
        "Tokenflux",
        data(
            {
                "id": "north/lyra",
                "name": "Lyra",
                "context_window": 128000,
                "max_completion_tokens": 16384,
                "capabilities": {"vision": True, "function_calling": True},
                "pricing": {"input": 2.5, "output": 10},
            }
        ),
        {
            "north/lyra": {
                "context_length": 128000,
                "max_output": 16384,
                "features": ["function_calling", "vision"],
                "input_modalities": BOTH,
            }
            | prices("2.5", "10")
        },
        url="https://tokenflux.ai/v1",
        source=f"{CONF}/TokenfluxProvider.ts",
    ),
    Shape(
        "Venna",
        data(
            row(
                "lyra",
                deprecated=True,
                provider="north",
                max_output_tokens=8192,
                context_length=128000,
                type="chat",
                capabilities={
                    "input_modalities": ["text", "image"],
                    "output_modalities": ["text"],
                    "tools": True,
                },
                pricing={"input_per_1m": "0.05", "output_per_1m": "0.1", "cache_read_per_1m": "0.01"},
            )
        ),
        {
            "lyra": {
                "lifecycle": "deprecated",
                "input_modalities": BOTH,
                "output_modalities": ["text"],
                "features": ["tools"],
            }
            | prices("0.05", "0.1", "0.01")
        },
        source="https://docs.venna.net/docs/api-reference/models",
    ),
    Shape(
        "ZenMux",
        data(
            row(
                "north/lyra",
                display_name="Lyra",
                input_modalities=["text", "image"],
                output_modalities=["text"],
                capabilities={"reasoning": True},
                context_length=200000,
                pricings={
                    "prompt": [{"value": 0.05, "unit": "perMTokens", "currency": "USD"}],
                    "completion": [{"value": 0.2, "unit": "perMTokens", "currency": "USD"}],
                    "input_cache_read": [{"value": 0.01, "unit": "perMTokens", "currency": "USD"}],
                },
            )
        ),
        {
            "north/lyra": {"context_length": 200000, "features": ["reasoning"], "input_modalities": BOTH}
            | prices("0.05", "0.2", "0.01")
        },
        url="https://zenmux.ai/api/v1",
        source=f"{CONF}/ZenMuxProvider.ts",
    ),
)

MORE_GATEWAYS = (
    Shape(
        "NEAR AI",
        data(
            row(
                "north/lyra",
                pricing={"input": 1.4, "output": 4.4, "input_cache_read": "0.00000026"},
                context_length=131072,
                max_output_length=65536,
            )
        ),
        {"north/lyra": {"context_length": 131072, "max_output": 65536} | prices("1.4", "4.4", "0.26")},
        url="https://cloud-api.near.ai/v1",
        source=f"{SYNC}/nearai.ts",
    ),
    Shape(
        "amounts with a scale",
        data(
            row(
                "lyra",
                inputCostPerToken={"amount": 500, "scale": 9, "currency": "USD"},
                outputCostPerToken={"amount": 2000, "scale": 9, "currency": "USD"},
            )
        ),
        {"lyra": prices("0.5", "2")},
        source="https://cloud-api.near.ai/v1/model/list",
    ),
    Shape(
        "DigitalOcean, catalogue",
        data(
            {
                "model_id": "lyra",
                "context_window": "200000",
                "max_output_tokens": 64000,
                "pricing": {
                    "input_price_per_million": 3e-06,
                    "output_price_per_million": 1.5e-05,
                    "cache_read_input_price_per_million": 3e-07,
                },
            }
        ),
        {"lyra": {"context_length": 200000, "max_output": 64000} | prices("3", "15", "0.3")},
        url="https://api.digitalocean.com/v2/gen-ai/models/catalog",
        config='path = "/v2/gen-ai/models/catalog"',
        source=f"{SYNC}/digitalocean.ts",
    ),
    Shape(
        "Eden AI",
        data(
            row(
                "north/lyra",
                context_length=128000,
                list_pricing={
                    "input_cost_per_token": 2.5e-06,
                    "output_cost_per_token": 1e-05,
                    "input_cost_per_token_above_200k_tokens": 5e-06,
                },
                pricing={
                    "input_cost_per_token": 2e-06,
                    "output_cost_per_token": 8e-06,
                    "input_cost_per_token_above_200k_tokens": 4e-06,
                },
            )
        ),
        {"north/lyra": {"context_length": 128000} | prices("2", "8")},
        url="https://api.edenai.run/v3",
        config='path = "/v3/models"',
        source=f"{SYNC}/edenai.ts",
        more={"north/lyra": ["input 4 USD per 1M tokens, above 200000"]},
    ),
    Shape(
        "Maxlayer",
        data(
            {
                "id": "north/lyra",
                "context_window": 128000,
                "pricing": {
                    "currency": "USD",
                    "base_input_per_million_tokens": "0.45",
                    "base_output_per_million_tokens": "1.8",
                    "input_per_million_tokens": "0.5",
                    "output_per_million_tokens": "2",
                    "cached_input_per_million_tokens": "0.05",
                },
            }
        ),
        {"north/lyra": {"context_length": 128000} | prices("0.5", "2", "0.05")},
        url="https://inference.maxlayer.cloud/v1",
        source=f"{SYNC}/maxlayer.ts",
    ),
    Shape(
        "Parasail",
        [
            {
                "externalAlias": "parasail-lyra",
                "contextLength": 131072,
                "inputCost": 0.6,
                "outputCost": 2.2,
                "cachedCost": 0.1,
            }
        ],
        {"parasail-lyra": {"context_length": 131072} | prices("0.6", "2.2", "0.1")},
        url="https://platform.parasail.io/api/v1/prices/serverlessEndpoints",
        config='path = "/api/v1/prices/serverlessEndpoints"\nid = "externalAlias"',
        source=f"{SYNC}/parasail.ts",
    ),
    Shape(
        "TokenMix",
        {
            "code": 0,
            "data": [
                {
                    "model_id": "lyra",
                    "context_length": 128000,
                    "max_output": 16384,
                    "input_price": 0.5,
                    "output_price": 2,
                    "support_vision": True,
                    "support_tools": True,
                }
            ],
        },
        {
            "lyra": {
                "context_length": 128000,
                "max_output": 16384,
                "input_modalities": BOTH,
                "features": ["tools", "vision"],
            }
            | prices("0.5", "2")
        },
        url="https://api.tokenmix.ai/api/models",
        config='path = "/api/models"',
        source=f"{SYNC}/tokenmix.ts",
    ),
    Shape(
        "ai&, billed in dollars",
        data(row("lyra", context_window=131072, currency="usd", input_per_1m="0.45", output_per_1m="0.90")),
        {"lyra": {"context_length": 131072} | prices("0.45", "0.9")},
        url="https://api.aiand.com/v1",
        source=f"{SYNC}/aiand.ts",
    ),
    Shape(
        "ai&, billed in yen",
        data(row("lyra", context_window=131072, currency="jpy", input_per_1m="45.0", output_per_1m="90.0")),
        {"lyra": {"context_length": 131072} | NO_PRICE},
        url="https://api.aiand.com/v1",
        source=f"{SYNC}/aiand.ts",
        more={"lyra": ["input 45 JPY per 1M tokens", "output 90 JPY per 1M tokens"]},
    ),
    Shape(
        "Hubris",
        {
            "items": [
                {
                    "id": "north/lyra",
                    "contextWindow": 131072,
                    "inputPriceRubPerMillion": 45.5,
                    "outputPriceRubPerMillion": 180,
                    "pricingUnit": "token",
                }
            ]
        },
        {"north/lyra": {"context_length": 131072} | NO_PRICE},
        url="https://hubris.pw/api/internal/models/catalog",
        config='path = "/api/internal/models/catalog"',
        source=f"{SYNC}/hubris.ts",
        more={"north/lyra": ["input 45.5 RUB per 1M tokens", "output 180 RUB per 1M tokens"]},
    ),
    Shape(
        "ShengSuanYun",
        data(row("north/lyra", context_window=131072, pricing={"prompt": 2.4, "completion": 9.6})),
        {"north/lyra": {"context_length": 131072} | NO_PRICE},
        url="https://router.shengsuanyun.com/api/v1",
        source=f"{SYNC}/shengsuanyun.ts",
        more={"north/lyra": ["input 2.4 CNY per 1M tokens", "output 9.6 CNY per 1M tokens"]},
    ),
    Shape(
        "CrossModel",
        data(
            {
                "id": "north/lyra",
                "context_window_tokens": 200000,
                "currency": "USD",
                "pricing": {
                    "tiers": [
                        {"threshold": 0, "input_micro_per_1m": 2500000, "output_micro_per_1m": 10000000},
                        {"threshold": 200000, "input_micro_per_1m": 5000000},
                    ]
                },
            }
        ),
        {"north/lyra": {"context_length": 200000} | prices("2.5", "10")},
        url="https://www.crossmodel.ai/api/models",
        config='path = "/api/models"',
        source=f"{SYNC}/crossmodel.ts",
        more={"north/lyra": ["input 5 USD per 1M tokens, above 200000"]},
    ),
    Shape(
        "SayGM",
        data(
            {
                "id": "lyra",
                "price_range": {
                    "unit": "ndollars_per_mtok",
                    "currency": "USD",
                    "ceiling": {
                        "dimensions": {
                            "input_per_mtok_ndollars": 2500000000,
                            "output_per_mtok_ndollars": 10000000000,
                        }
                    },
                },
            }
        ),
        {"lyra": prices("2.5", "10")},
        url="https://api.saygm.com/v1",
        config='prices = { input = "price_range.ceiling.dimensions.input_per_mtok_ndollars",'
        ' output = "price_range.ceiling.dimensions.output_per_mtok_ndollars" }',
        source=f"{SYNC}/saygm.ts",
    ),
    Shape(
        "Opper",
        {
            "models": [
                {
                    "id": "cobalt/lyra",
                    "type": "llm",
                    "context_window": 1000000,
                    "pricing": {
                        "billing_unit": "1M tokens",
                        "thresholds": [131072],
                        "input": [0.05, 0.12],
                        "output": [0.2, 0.4],
                    },
                },
                {
                    "id": "cobalt/vega",
                    "type": "llm",
                    "pricing": {"billing_unit": "1M tokens", "input": [2.5], "output": [10]},
                },
            ]
        },
        {
            "cobalt/lyra": {"context_length": 1000000} | prices("0.05", "0.2"),
            "cobalt/vega": prices("2.5", "10"),
        },
        url="https://api.opper.ai/v3",
        config='path = "/v3/models"',
        source=f"{SYNC}/opper.ts",
        more={
            "cobalt/lyra": [
                "input 0.12 USD per 1M tokens, above 131072",
                "output 0.4 USD per 1M tokens, above 131072",
            ]
        },
    ),
    Shape(
        "Concentrate",
        data(
            {
                "id": "lyra",
                "pricing": {
                    "tokens": {
                        "input": {"price": {"USD": 0.0025}, "units": 1000},
                        "output": {"price": {"USD": 10}, "units": 1000000},
                    }
                },
            }
        ),
        {"lyra": prices("2.5", "10")},
        source=f"{SYNC}/concentrate.ts",
    ),
    Shape(
        "Charm Hyper",
        data(
            row(
                "lyra",
                context_window=128000,
                cost_per_1m_in=0.5,
                cost_per_1m_out=2,
                cost_per_1m_in_cached=0.05,
                cost_per_1m_out_cached=0.25,
            )
        ),
        {"lyra": {"context_length": 128000} | prices("0.5", "2", "0.05")},
        url="https://hyper.charm.land/v1",
        source=f"{SYNC}/hyper.ts",
    ),
    Shape(
        "GPU Flow",
        data(
            {
                "schema_version": "2.4",
                "id": "lyra",
                "input_modalities": [
                    {
                        "type": "text",
                        "supported_inputs": {"max_context_length": {"value": 131072, "unit": "tokens"}},
                        "pricing": [{"type": "prompt", "unit": "token", "cost_usd": "0.0000005"}],
                    }
                ],
                "output_modalities": [
                    {
                        "type": "text",
                        "pricing": [{"type": "completion", "unit": "token", "cost_usd": "0.000002"}],
                    }
                ],
            }
        ),
        {"lyra": {"context_length": 131072, "input_modalities": ["text"]} | prices("0.5", "2")},
        url="https://api.gpuflow.ai/v1",
        source="https://openrouter.ai/docs/guides/providers/integration",
    ),
)

OPENROUTER_LIKE = (
    Shape(
        "OpenRouter",
        {
            "data": [
                {
                    "id": "north/lyra",
                    "canonical_slug": "north/lyra",
                    "created": 1755000000,
                    "context_length": 200000,
                    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                    "pricing": OPENROUTER_PRICES | {"input_cache_read": "0.000000025"},
                    "top_provider": {
                        "context_length": 200000,
                        "max_completion_tokens": 64000,
                        "is_moderated": False,
                    },
                    "supported_parameters": ["tools"],
                    "expiration_date": "2027-03-01",
                }
            ]
        },
        {
            "north/lyra": {
                "owned_by": "north",
                "context_length": 200000,
                "max_output": 64000,
                "deprecated_at": "2027-03-01",
                "input_modalities": BOTH,
            }
            | prices("0.25", "1", "0.025")
        },
        source="https://openrouter.ai/docs/models",
    ),
    Shape(
        "Kilo",
        {
            "data": [
                {
                    "id": "north/lyra",
                    "canonical_slug": "north/lyra",
                    "context_length": 200000,
                    "pricing": OPENROUTER_PRICES,
                    "top_provider": {"max_completion_tokens": 64000},
                },
                # The list as a whole is not recognised for records like this one.
                {
                    "id": "kilo/auto",
                    "pricing": {"prompt": "0.000015", "completion": "0.000075"},
                    "architecture": {},
                },
                {
                    "id": "north/vega:free",
                    "pricing": {"prompt": "0", "completion": "0"},
                    "supported_parameters": [],
                },
            ]
        },
        {
            "north/lyra": {"context_length": 200000, "max_output": 64000} | prices("0.25", "1"),
            "kilo/auto": prices("15", "75"),
            "north/vega:free": prices("0", "0"),
        },
        source="https://kilo.ai/docs/gateway/api-reference",
    ),
    Shape(
        "AtlasCloud",
        data(
            {
                "id": "north/lyra",
                "input_modalities": ["text", "image"],
                "output_modalities": ["text"],
                "context_length": 131072,
                "max_output_length": 32768,
                "supported_features": ["tools"],
                "pricing": [OPENROUTER_PRICES, {"prompt": "0.0000005", "completion": "0.000002"}],
            }
        ),
        {
            "north/lyra": {"context_length": 131072, "max_output": 32768, "features": ["tools"]}
            | prices("0.25", "1")
        },
        url="https://api.atlascloud.ai/v1",
        source=f"{CATWALK}/atlascloud/main.go",
    ),
    Shape(
        "Nebius",
        data(
            {
                "id": "north/lyra-fast",
                "context_length": 32768,
                "architecture": {"modality": "text+image->text"},
                "pricing": OPENROUTER_PRICES,
                "supported_features": ["tools"],
            }
        ),
        {
            "north/lyra-fast": {
                "context_length": 32768,
                "input_modalities": BOTH,
                "output_modalities": ["text"],
            }
            | prices("0.25", "1")
        },
        url="https://api.tokenfactory.nebius.com/v1",
        source=f"{CATWALK}/nebius/main.go",
    ),
    Shape(
        "Cerebras, public list",
        data(
            row(
                "lyra-120b",
                pricing={"prompt": "0.00000025", "completion": "0.00000069"},
                capabilities={"function_calling": True, "vision": False},
                limits={"max_context_length": 131072, "max_completion_tokens": 40960},
                deprecated=False,
                preview=True,
            )
        ),
        {
            "lyra-120b": {
                "context_length": 131072,
                "max_output": 40960,
                "features": ["function_calling"],
                "lifecycle": "preview",
            }
            | prices("0.25", "0.69")
        },
        url="https://api.cerebras.ai/public/v1",
        source="https://inference-docs.cerebras.ai/api-reference/models",
    ),
    Shape(
        "SambaNova",
        data(
            row(
                "Lyra-70B",
                context_length=131072,
                max_completion_tokens=3072,
                pricing={"prompt": "0.0000006", "completion": "0.0000012", "duration": "0"},
                sn_metadata={},
            )
        ),
        {"Lyra-70B": {"context_length": 131072, "max_output": 3072} | prices("0.6", "1.2")},
        url="https://api.sambanova.ai/v1",
        source="https://docs.sambanova.ai/docs/en/api-reference/models",
    ),
    Shape(
        "Poe",
        data(
            row(
                "Lyra-5",
                architecture={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                pricing={"prompt": "0.0000011", "completion": "0.0000043", "image": None, "request": None},
                context_window={"context_length": 200000, "max_output_tokens": 64000},
            )
        ),
        {
            "Lyra-5": {"context_length": 200000, "max_output": 64000, "input_modalities": BOTH}
            | prices("1.1", "4.3")
        },
        url="https://api.poe.com/v1",
        source="https://creator.poe.com/api-reference/listModels",
    ),
    Shape(
        "Synthetic",
        data(
            {
                "id": "hf:north/lyra",
                "input_modalities": ["text"],
                "context_length": 196608,
                "max_output_length": 65536,
                "pricing": {
                    "prompt": "$0.00000055",
                    "completion": "$0.00000219",
                    "image": "$0",
                    "input_cache_reads": "$0.00000055",
                    "input_cache_writes": "$0",
                },
                "supported_features": ["tools"],
            }
        ),
        {
            "hf:north/lyra": {"context_length": 196608, "max_output": 65536}
            | prices("0.55", "2.19", "0.55", "0")
        },
        url="https://api.synthetic.new/openai/v1",
        source=f"{CATWALK}/synthetic/main.go",
    ),
    Shape(
        "Bifrost",
        {
            "data": [
                {
                    "id": "north/lyra",
                    "context_length": 128000,
                    "max_input_tokens": 128000,
                    "max_output_tokens": 16384,
                    "architecture": {"modality": "text->text"},
                    "pricing": {"prompt": "0.00000015", "completion": "0.0000006"},
                    "supported_parameters": ["tools"],
                }
            ],
            "extra_fields": {"latency": 3},
        },
        {
            "north/lyra": {
                "context_length": 128000,
                "max_output": 16384,
                "input_modalities": ["text"],
                "features": ["tools"],
            }
            | prices("0.15", "0.6")
        },
        source="https://docs.getbifrost.ai/api-reference/models/list-available-models",
    ),
    Shape(
        "Baseten",
        data(
            {
                "id": "north/lyra",
                "context_length": 131072,
                "max_completion_tokens": 131072,
                "pricing": {"prompt": 1.5e-07, "completion": 6e-07},
                "supported_features": ["tools"],
            }
        ),
        {"north/lyra": {"context_length": 131072} | prices("0.15", "0.6")},
        url="https://inference.baseten.co/v1",
        source=f"{CATWALK}/baseten/main.go",
    ),
    Shape(
        "Chutes",
        data(
            row(
                "north/lyra",
                context_length=131072,
                max_output_length=65536,
                pricing={"prompt": 0.02, "completion": 0.08},
            )
        ),
        {"north/lyra": {"context_length": 131072, "max_output": 65536} | prices("0.02", "0.08")},
        url="https://llm.chutes.ai/v1",
        source=f"{CATWALK}/chutes/main.go",
    ),
    Shape(
        "a proxy of Chutes",
        data(row("north/lyra", pricing={"prompt": 0.25, "completion": 1})),
        {"north/lyra": prices("0.25", "1")},
    ),
    Shape(
        "LLM Gateway",
        data(
            row(
                "lyra",
                context_length=128000,
                pricing={"prompt": "2.5e-6", "completion": "10e-6", "input_cache_read": "0"},
            )
        ),
        {"lyra": {"context_length": 128000} | prices("2.5", "10")},
        url="https://api.llmgateway.io/v1",
        source="https://docs.llmgateway.io/v1_models",
    ),
    Shape(
        "OVHcloud",
        {
            "data": [
                row(
                    "lyra-70b",
                    context_length=131072,
                    pricing={"prompt": "0.00000074", "completion": "0.00000074"},
                )
            ]
        },
        {"lyra-70b": {"context_length": 131072} | prices("0.74", "0.74")},
        url="https://catalog.endpoints.ai.ovh.net/rest/v2",
        source="https://endpoints.ai.cloud.ovh.net",
    ),
    Shape(
        "Vercel",
        data(
            {
                "id": "north/lyra",
                "owned_by": "north",
                "released": 1755000000,
                "context_window": 200000,
                "max_tokens": 64000,
                "type": "language",
                "tags": ["tool-use"],
                "pricing": {"input": "0.000003", "output": "0.000015", "input_cache_read": "0.0000003"},
            }
        ),
        {"north/lyra": {"context_length": 200000, "max_output": 64000} | CREATED | prices("3", "15", "0.3")},
        url="https://ai-gateway.vercel.sh/v1",
        source="https://vercel.com/docs/ai-gateway/models-and-providers",
    ),
    Shape(
        "a proxy of Vercel",
        data(
            {
                "id": "north/lyra",
                "context_window": 200000,
                "max_tokens": 64000,
                "pricing": {"input": "0.000003", "output": "0.000015"},
            }
        ),
        {"north/lyra": {"context_length": 200000, "max_output": 64000} | prices("3", "15")},
    ),
    Shape(
        "Glama",
        [
            {
                "id": "north/lyra",
                "maxTokensInput": 200000,
                "maxTokensOutput": 64000,
                "capabilities": ["input:image", "input:text", "output:text", "caching"],
                "pricePerToken": {
                    "input": "0.000003",
                    "output": "0.000015",
                    "cacheRead": "0.0000003",
                    "cacheWrite": "0.00000375",
                },
            }
        ],
        {
            "north/lyra": {
                "context_length": 200000,
                "max_output": 64000,
                "input_modalities": BOTH,
                "output_modalities": ["text"],
            }
            | prices("3", "15", "0.3", "3.75")
        },
        url="https://glama.ai/api/gateway/v1",
        source=f"{ROO}/glama.ts",
    ),
    Shape(
        "Helicone",
        {
            "data": {
                "models": [
                    {
                        "id": "lyra",
                        "author": "north",
                        "contextLength": 128000,
                        "maxOutput": 16384,
                        "inputModalities": ["text", "image"],
                        "outputModalities": ["text"],
                        "supportedParameters": ["tools"],
                    }
                ],
                "total": 1,
            }
        },
        {
            "lyra": {
                "owned_by": "north",
                "context_length": 128000,
                "max_output": 16384,
                "input_modalities": BOTH,
                "features": ["tools"],
            }
        },
        url="https://api.helicone.ai/v1/public/model-registry/models",
        source=f"{ROO}/helicone.ts",
    ),
    Shape(
        "Hugging Face",
        data(
            row(
                "north/lyra",
                providers=[
                    {
                        "provider": "a",
                        "status": "live",
                        "context_length": 131072,
                        "pricing": {"input": 0.1, "output": 0.2},
                    },
                    {
                        "provider": "b",
                        "status": "error",
                        "context_length": 262144,
                        "pricing": {"input": 0.05, "output": 0.1},
                    },
                ],
            )
        ),
        {"north/lyra": {"context_length": 131072} | prices("0.1", "0.2", source="estimate")},
        url="https://router.huggingface.co/v1",
        source=f"{CATWALK}/huggingface/main.go",
    ),
    Shape(
        "models.dev",
        data(
            {
                "id": "lyra",
                "tool_call": True,
                "release_date": "2026-05-01",
                "modalities": {"input": ["text", "image"], "output": ["text"]},
                "limit": {"context": 200000, "output": 64000},
                "cost": {"input": 0.02, "output": 0.04, "cache_read": 0.002},
            }
        ),
        {
            "lyra": {
                "context_length": 200000,
                "max_output": 64000,
                "input_modalities": BOTH,
                "created": "2026-05-01T00:00:00Z",
            }
            | prices("0.02", "0.04", "0.002")
        },
        source="https://github.com/anomalyco/models.dev#schema-reference",
    ),
    Shape(
        "a list like models.dev with records of another shape",
        data(
            {"id": "lyra", "limit": {"context": 8000}, "cost": {"input": 0.02, "output": 0.04}},
            {"id": "vega", "context_window": 4000},
        ),
        {
            "lyra": {"context_length": 8000} | prices("0.02", "0.04"),
            "vega": {"context_length": 4000} | NO_PRICE,
        },
    ),
)

FAMILIES = (
    Shape(
        "One-API",
        data({**row("lyra", root="lyra", parent=None, permission=None), "created": 1626777600}),
        {"lyra": {"created": None, "root": "lyra"}},
        source="https://github.com/songquanpeng/one-api/blob/main/controller/model.go",
    ),
    Shape(
        "New-API",
        data(
            {**row("lyra", supported_endpoint_types=["openai", "anthropic"]), "created": 1626777600},
            success=True,
        ),
        {"lyra": {"created": None, "endpoints": ["anthropic", "openai"]}},
        source="https://github.com/QuantumNous/new-api/blob/main/controller/model.go",
    ),
    Shape(
        "New-API, price list",
        {
            "success": True,
            "data": [
                {
                    "model_name": "lyra",
                    "quota_type": 0,
                    "model_ratio": 0.25,
                    "completion_ratio": 4,
                    "enable_groups": ["default"],
                },
                {"model_name": "sketch", "quota_type": 1, "model_price": 0.04, "enable_groups": ["default"]},
            ],
            "group_ratio": {"default": 1},
        },
        {"lyra": prices("0.5", "2", source="ratio"), "sketch": {"usd_per_call": "0.04"}},
        url="https://llm.example.com/api/pricing",
        source="https://github.com/QuantumNous/new-api/blob/main/model/pricing.go",
    ),
    Shape(
        "One-Hub",
        data({**row("lyra"), "created": 1677649963}),
        {"lyra": {"created": None}},
        source="https://github.com/MartialBE/one-hub/blob/main/controller/model.go",
    ),
    Shape(
        "AiHubMix, catalogue",
        {
            "data": [
                {
                    "model_id": "lyra",
                    "types": "llm",
                    "features": "tools,thinking",
                    "input_modalities": "text,image",
                    "max_output": 64000,
                    "context_length": 200000,
                    "pricing": {"input": 0.02, "output": 0.08, "cache_read": 0.002},
                }
            ],
            "message": "",
            "success": True,
        },
        {
            "lyra": {"context_length": 200000, "features": ["thinking", "tools"], "input_modalities": BOTH}
            | prices("0.02", "0.08", "0.002")
        },
        source="https://docs.aihubmix.com/en/api/Models-API",
    ),
    Shape(
        "LiteLLM",
        data({**row("lyra"), "created": 1677610602, "owned_by": "openai"}),
        {"lyra": {"created": None, "owned_by": None}},
        source="https://docs.litellm.ai/docs/proxy/model_access",
    ),
    Shape(
        "LiteLLM, deployments",
        {
            "data": [
                {
                    "model_name": "lyra",
                    "litellm_params": {"model": "openai/lyra"},
                    "model_info": {
                        "id": "d1",
                        "mode": "chat",
                        "litellm_provider": "openai",
                        "max_input_tokens": 128000,
                        "max_output_tokens": 16384,
                        "input_cost_per_token": 1.5e-07,
                        "output_cost_per_token": 6e-07,
                        "supports_vision": True,
                    },
                }
            ]
        },
        {
            "lyra": {"context_length": 128000, "max_output": 16384, "features": ["vision"]}
            | prices("0.15", "0.6")
        },
        url="https://llm.example.com/model/info",
        source="https://docs.litellm.ai/docs/proxy/model_management",
    ),
    Shape(
        "LiteLLM, groups of models",
        {
            "data": [
                {
                    "model_group": "lyra",
                    "providers": ["openai"],
                    "max_input_tokens": 128000,
                    "input_cost_per_token": 1.5e-07,
                    "output_cost_per_token": 6e-07,
                    "supports_function_calling": True,
                }
            ]
        },
        {"lyra": {"owned_by": "openai", "features": ["function_calling"]} | prices("0.15", "0.6")},
        url="https://llm.example.com/model_group/info",
        source="https://docs.litellm.ai/docs/proxy/model_hub",
    ),
    Shape(
        "a list with LiteLLM's fields",
        data(
            row(
                "lyra",
                max_input_tokens=128000,
                max_output_tokens=16384,
                max_tokens=16384,
                input_cost_per_token=1.5e-07,
                output_cost_per_token=6e-07,
                cache_read_input_token_cost=1.5e-08,
                cache_creation_input_token_cost=1.875e-07,
                input_cost_per_token_above_200k_tokens=3e-07,
                litellm_provider="openai",
                supports_vision=True,
                supports_function_calling=True,
            )
        ),
        {
            "lyra": {
                "context_length": 128000,
                "max_output": 16384,
                "input_modalities": BOTH,
                "features": ["function_calling", "vision"],
            }
            | prices("0.15", "0.6", "0.015", "0.1875")
        },
    ),
    Shape(
        "vLLM",
        data(row("north/lyra", root="north/lyra", max_model_len=32768) | {"owned_by": "vllm"}),
        {"north/lyra": {"context_length": 32768}},
        source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server",
    ),
    Shape(
        "SGLang",
        data(row("north/lyra", root="north/lyra", max_model_len=16384) | {"owned_by": "sglang"}),
        {"north/lyra": {"context_length": 16384}},
        source="https://docs.sglang.ai/basic_usage/openai_api",
    ),
    Shape(
        "llama.cpp",
        data(row("lyra.gguf", meta={"n_ctx_train": 8192, "n_params": 8000000000}) | {"owned_by": "llamacpp"}),
        {"lyra.gguf": {"context_length": 8192}},
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
    Shape(
        "Ollama",
        {
            "models": [
                {
                    "name": "lyra:8b",
                    "model": "lyra:8b",
                    "modified_at": "2026-01-01T00:00:00Z",
                    "size": 1,
                    "digest": "d",
                    "details": {},
                }
            ]
        },
        {"lyra:8b": {"created": None}},
        url="http://localhost:11434/api/tags",
        source="https://github.com/ollama/ollama/blob/main/docs/api.md",
    ),
    Shape(
        "Ollama, OpenAI's list",
        data(row("lyra:8b") | {"owned_by": "library"}),
        {"lyra:8b": {"created": None}},
        source="https://github.com/ollama/ollama/blob/main/docs/openai.md",
    ),
    Shape(
        "LM Studio",
        data(
            {
                "id": "lyra",
                "type": "llm",
                "publisher": "north",
                "arch": "llama",
                "compatibility_type": "gguf",
                "state": "loaded",
                "max_context_length": 131072,
            }
        ),
        {"lyra": {"owned_by": "north", "type": "llm", "context_length": 131072}},
        source="https://lmstudio.ai/docs/developer/rest/endpoints",
    ),
    Shape(
        "Anthropic",
        {
            "data": [
                {
                    "type": "model",
                    "id": "lyra-4",
                    "display_name": "Lyra 4",
                    "created_at": "2026-02-19T00:00:00Z",
                    "max_input_tokens": 200000,
                    "max_tokens": 64000,
                }
            ],
            "has_more": False,
            "first_id": "lyra-4",
            "last_id": "lyra-4",
        },
        {"lyra-4": {"context_length": 200000, "max_output": 64000, "created": "2026-02-19T00:00:00Z"}},
        source="https://docs.anthropic.com/en/api/models-list",
    ),
    Shape(
        "Gemini",
        {
            "models": [
                {
                    "name": "models/lyra-pro",
                    "inputTokenLimit": 1048576,
                    "outputTokenLimit": 65536,
                    "supportedGenerationMethods": ["generateContent"],
                    "thinking": True,
                }
            ]
        },
        {
            "models/lyra-pro": {
                "context_length": 1048576,
                "max_output": 65536,
                "endpoints": ["generateContent"],
                "features": ["thinking"],
            }
        },
        url="https://generativelanguage.googleapis.com/v1beta",
        source="https://ai.google.dev/api/models",
    ),
    Shape(
        "Cohere",
        {
            "models": [
                {
                    "name": "lyra-r",
                    "endpoints": ["chat"],
                    "context_length": 128000.0,
                    "tokenizer_url": "https://example.com/t.json",
                    "is_deprecated": True,
                }
            ]
        },
        {"lyra-r": {"context_length": 128000, "endpoints": ["chat"], "lifecycle": "deprecated"}},
        url="https://api.cohere.com/v1",
        source="https://docs.cohere.com/reference/list-models",
    ),
    Shape(
        "Fireworks",
        {
            "models": [
                {
                    "name": "accounts/north/models/lyra",
                    "kind": "HF_BASE_MODEL",
                    "state": "READY",
                    "contextLength": 131072,
                    "supportsTools": True,
                    "supportsImageInput": True,
                    "deprecationDate": {"year": 2027, "month": 1, "day": 31},
                    "createTime": "2026-02-19T00:00:00Z",
                }
            ]
        },
        {
            "accounts/north/models/lyra": {
                "context_length": 131072,
                "deprecated_at": "2027-01-31",
                "features": ["tools"],
                "input_modalities": BOTH,
            }
        },
        url="https://api.fireworks.ai/v1/accounts/north",
        source="https://docs.fireworks.ai/api-reference/list-models",
    ),
    Shape(
        "Cloudflare",
        {
            "success": True,
            "result": [
                {
                    "id": "0a1b",
                    "name": "@cf/north/lyra",
                    "task": {"name": "Text Generation"},
                    "properties": [
                        {"property_id": "context_window", "value": "24000"},
                        {
                            "property_id": "price",
                            "value": [
                                {"unit": "per M input tokens", "price": 0.05, "currency": "USD"},
                                {"unit": "per M output tokens", "price": 0.4, "currency": "USD"},
                            ],
                        },
                        {"property_id": "planned_deprecation_date", "value": "2027-01-31"},
                    ],
                }
            ],
            "result_info": {"total_count": 1, "total_pages": 1},
        },
        {
            "@cf/north/lyra": {
                "context_length": 24000,
                "deprecated_at": "2027-01-31",
                "type": "Text Generation",
            }
            | prices("0.05", "0.4")
        },
        url="https://api.cloudflare.com/client/v4/accounts/0a1b/ai",
        source="https://developers.cloudflare.com/api/resources/ai/subresources/models",
    ),
    Shape(
        "GitHub Models",
        [
            {
                "id": "north/lyra",
                "publisher": "North",
                "rate_limit_tier": "high",
                "capabilities": ["tool-calling"],
                "limits": {"max_input_tokens": 128000, "max_output_tokens": 16384},
                "supported_input_modalities": ["text", "image"],
                "supported_output_modalities": ["text"],
            }
        ],
        {
            "north/lyra": {
                "owned_by": "North",
                "context_length": 128000,
                "max_output": 16384,
                "input_modalities": BOTH,
            }
        },
        url="https://models.github.ai",
        source="https://docs.github.com/rest/models/catalog",
    ),
    Shape(
        "DashScope",
        {
            "output": {
                "total": 1,
                "models": [
                    {
                        "model": "lyra-max",
                        "provider": "north",
                        "model_info": {"context_window": 131072, "max_output_tokens": 8192},
                        "inference_metadata": {
                            "request_modality": ["Text", "Image"],
                            "response_modality": ["Text"],
                        },
                        "prices": [{"type": "input", "price": "4", "unit": "1M tokens"}],
                    }
                ],
            }
        },
        {"lyra-max": {"owned_by": "north", "context_length": 131072, "input_modalities": BOTH} | NO_PRICE},
        url="https://dashscope.aliyuncs.com/api/v1",
        source="https://help.aliyun.com/zh/model-studio/list-models",
    ),
    Shape(
        "Venice",
        data(
            row(
                "lyra",
                type="text",
                model_spec={
                    "availableContextTokens": 32768,
                    "deprecation": {
                        "date": "2027-01-31T00:00:00.000Z",
                        "removesAt": "2027-02-28T00:00:00.000Z",
                    },
                    "capabilities": {"supportsVision": True},
                    "pricing": {"input": {"usd": 0.07, "diem": 0.07}, "output": {"usd": 0.28, "diem": 0.28}},
                },
            )
        ),
        {
            "lyra": {
                "context_length": 32768,
                "lifecycle": "deprecated",
                "deprecated_at": "2027-02-28",
                "input_modalities": BOTH,
            }
            | prices("0.07", "0.28")
        },
        url="https://api.venice.ai/api/v1",
        source="https://docs.venice.ai/api-reference/endpoint/models/list",
    ),
    Shape(
        "Bedrock",
        {
            "modelSummaries": [
                {
                    "modelArn": "arn:aws:bedrock:eu-central-1::foundation-model/north.lyra",
                    "modelId": "north.lyra",
                    "providerName": "North",
                    "inputModalities": ["TEXT", "IMAGE"],
                    "outputModalities": ["TEXT"],
                    "responseStreamingSupported": True,
                    "modelLifecycle": {"status": "LEGACY"},
                }
            ]
        },
        {
            "north.lyra": {
                "owned_by": "North",
                "input_modalities": BOTH,
                "lifecycle": "LEGACY",
                "features": ["streaming"],
            }
        },
        url="https://bedrock.eu-central-1.amazonaws.com",
        source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html",
    ),
    Shape(
        "Databricks",
        {
            "endpoints": [
                {
                    "name": "lyra",
                    "creation_timestamp": 1755000000000,
                    "state": {"ready": "READY"},
                    "task": "llm/v1/chat",
                }
            ]
        },
        {"lyra": {"type": "llm/v1/chat", "lifecycle": None} | CREATED},
        url="https://acme.cloud.databricks.com",
        source="https://docs.databricks.com/api/workspace/servingendpoints/list",
    ),
    Shape(
        "watsonx",
        {
            "total_count": 1,
            "resources": [
                {
                    "model_id": "north/lyra-8b",
                    "provider": "North",
                    "functions": [{"id": "text_chat"}],
                    "model_limits": {"max_sequence_length": 131072, "max_output_tokens": 8192},
                    "lifecycle": [
                        {"id": "available", "start_date": "2025-01-15"},
                        {"id": "deprecated", "start_date": "2026-06-01"},
                        {"id": "withdrawn", "start_date": "2026-12-01"},
                    ],
                }
            ],
        },
        {
            "north/lyra-8b": {
                "owned_by": "North",
                "context_length": 131072,
                "max_output": 8192,
                "lifecycle": "deprecated",
                "deprecated_at": "2026-12-01",
            }
        },
        url="https://eu-de.ml.cloud.ibm.com",
        source="https://cloud.ibm.com/apidocs/watsonx-ai#list-foundation-model-specs",
    ),
    Shape(
        "ElevenLabs",
        [
            {
                "model_id": "lyra_v2",
                "can_do_text_to_speech": True,
                "can_be_finetuned": False,
                "token_cost_factor": 1,
            }
        ],
        {"lyra_v2": {"output_modalities": ["audio"], "features": ["text_to_speech"]} | NO_PRICE},
        url="https://api.elevenlabs.io/v1",
        source="https://elevenlabs.io/docs/api-reference/models/list",
    ),
    Shape(
        "Replicate",
        {
            "next": None,
            "previous": None,
            "results": [
                {
                    "url": "https://replicate.com/north/lyra",
                    "owner": "north",
                    "name": "lyra",
                    "run_count": 7,
                    "latest_version": {"id": "v1"},
                }
            ],
        },
        {"https://replicate.com/north/lyra": {"owned_by": "north"}},
        url="https://api.replicate.com/v1",
        config='id = "url"',
        source="https://replicate.com/docs/reference/http#models.list",
    ),
    Shape(
        "Keywords AI",
        {
            "models": [
                {
                    "model_name": "lyra",
                    "max_context_window": 128000,
                    "input_cost": 0.5,
                    "output_cost": 1.5,
                    "provider": {"provider_name": "North"},
                }
            ]
        },
        {"lyra": {"context_length": 128000} | prices("0.5", "1.5")},
        url="https://api.keywordsai.co/api/models/public",
        config='id = "model_name"',
        source=f"{ROO}/keywordsai.ts",
    ),
    Shape(
        "Pioneer",
        {
            "models": [
                {
                    "id": "lyra",
                    "context_window": 32768,
                    "input_price_per_million": 0.02,
                    "output_price_per_million": 0.02,
                    "task_type": "chat",
                }
            ]
        },
        {"lyra": {"context_length": 32768, "type": "chat"} | prices("0.02", "0.02")},
        url="https://api.pioneer.ai/base-models",
        config='path = "/base-models"',
        source=f"{CATWALK}/pioneer/main.go",
    ),
)

FORMS = (
    Shape("bare ids", data("lyra", "vega"), {"lyra": {}, "vega": {}}),
    Shape("a bare array", [{"id": "lyra", "context": 4096}], {"lyra": {"context_length": 4096}}),
    Shape("a list at data.models", {"data": {"models": [{"id": "lyra"}]}, "code": 0}, {"lyra": {}}),
    Shape("a list at data.items", {"data": {"items": [{"id": "lyra"}]}}, {"lyra": {}}),
    Shape("a list at result.models", {"result": {"models": [{"id": "lyra"}]}}, {"lyra": {}}),
    Shape("a list at items", {"items": [{"id": "lyra"}], "kind": "list"}, {"lyra": {}}),
    Shape("a list at results", {"results": [{"id": "lyra"}]}, {"lyra": {}}),
    Shape(
        "a list elsewhere",
        {"catalog": {"entries": [{"slug": "lyra"}]}},
        {"lyra": {}},
        config='list = "catalog.entries"\nid = "slug"',
    ),
    Shape(
        "ids called model",
        {"models": [{"model": "lyra", "ctx": "8k"}]},
        {"lyra": {"context_length": 8000}},
        config='id = "model"',
    ),
    Shape(
        "texts of lengths",
        data({"id": "lyra", "contextWindow": "128K", "maxOutputTokens": "16,384"}),
        {"lyra": {"context_length": 128000, "max_output": 16384}},
    ),
    Shape(
        "1M tokens",
        data({"id": "lyra", "max_context_tokens": "1M", "max_new_tokens": 8192}),
        {"lyra": {"context_length": 1000000, "max_output": 8192}},
    ),
    Shape(
        "limits in an object",
        data({"id": "lyra", "limits": {"context_window": 64000, "max_output_tokens": 4096}}),
        {"lyra": {"context_length": 64000, "max_output": 4096}},
    ),
    Shape(
        "a record with details in `info`",
        data(
            {
                "id": "lyra",
                "info": {
                    "provider": {"name": "North"},
                    "release_date": "2026-05-01",
                    "max_input_tokens": 8000,
                },
            }
        ),
        {"lyra": {"owned_by": "North", "created": "2026-05-01T00:00:00Z", "context_length": 8000}},
    ),
    Shape(
        "max_tokens that is the context",
        data({"id": "lyra", "context_length": 8192, "max_tokens": 8192}, {"id": "vega", "max_tokens": 8192}),
        {
            "lyra": {"context_length": 8192, "max_output": None},
            "vega": {"context_length": None, "max_output": None},
        },
    ),
    Shape(
        "flags of features",
        data({"id": "lyra", "supports_tools": True, "supportsPromptCaching": True, "supports_vision": False}),
        {"lyra": {"features": ["prompt_caching", "tools"], "input_modalities": None}},
    ),
    Shape(
        "flags of modalities",
        data({"id": "lyra", "capabilities": {"vision": True, "audio_input": True, "tools": True}}),
        {
            "lyra": {
                "input_modalities": ["audio", "image", "text"],
                "features": ["audio_input", "tools", "vision"],
            }
        },
    ),
    Shape(
        "an announced end as flag and date",
        data({"id": "lyra", "status": "active", "deprecated": True, "sunset_date": "2027-06-30"}),
        {"lyra": {"lifecycle": "deprecated", "deprecated_at": "2027-06-30"}},
    ),
    Shape(
        "an announced end in an object",
        data({"id": "lyra", "lifecycle": {"stage": "retiring", "retirement_date": "2027-06-30T00:00:00Z"}}),
        {"lyra": {"lifecycle": "retiring", "deprecated_at": "2027-06-30"}},
    ),
    Shape(
        "an announced end in seconds",
        data({"id": "lyra", "endOfLifeAt": 1800000000}),
        {"lyra": {"deprecated_at": "2027-01-15"}},
    ),
    Shape(
        "prices as texts with their unit",
        data({"id": "lyra", "pricing": {"input": "$0.05 / 1M", "output": "$0.10 / 1M"}}),
        {"lyra": prices("0.05", "0.1")},
    ),
    Shape(
        "prices with a unit beside them",
        data({"id": "lyra", "price": {"input": 0.02, "output": 0.04, "unit": "per_million_tokens"}}),
        {"lyra": prices("0.02", "0.04")},
    ),
    Shape(
        "prices per 1K tokens",
        data({"id": "lyra", "input_price_per_1k_tokens": "0.0005", "output_price_per_1k_tokens": "0.0015"}),
        {"lyra": prices("0.5", "1.5")},
    ),
    Shape(
        "prices in cents",
        data({"id": "lyra", "input_cents_per_1m_tokens_price": 50, "output_cents_per_1m_tokens_price": 150}),
        {"lyra": prices("0.5", "1.5")},
    ),
    Shape(
        "prices as a list of kinds",
        data(
            {
                "id": "lyra",
                "prices": [
                    {"type": "input", "amount": 0.05, "unit": "1M tokens"},
                    {"type": "output", "amount": 0.1, "unit": "1M tokens"},
                ],
            }
        ),
        {"lyra": prices("0.05", "0.1")},
    ),
    Shape(
        "prices as a list of units",
        data(
            {
                "id": "lyra",
                "pricing": {
                    "units": [
                        {"name": "textInput", "rate": 0.03, "unit": "millionTokens"},
                        {"name": "textOutput", "rate": 0.3, "unit": "millionTokens"},
                    ]
                },
            }
        ),
        {"lyra": prices("0.03", "0.3")},
        source="https://github.com/lobehub/lobe-chat/blob/main/packages/model-bank/src/aiModels/novita.ts",
    ),
    Shape(
        "prices in several currencies",
        data({"id": "lyra", "pricing": {"input": {"usd": 0.7, "cny": 5}, "output": {"usd": 2.8, "cny": 20}}}),
        {"lyra": prices("0.7", "2.8")},
    ),
    Shape(
        "prices in yuan",
        data({"id": "lyra", "pricing": {"input": 4, "output": 16, "currency": "CNY", "unit": "1M tokens"}}),
        {"lyra": NO_PRICE},
    ),
    Shape(
        "prices with full-width signs",
        data({"id": "lyra", "pricing": {"input": "￥4/百万tokens", "output": "￥16/百万tokens"}}),
        {"lyra": NO_PRICE},
        more={"lyra": ["input 4 CNY per 1M tokens", "output 16 CNY per 1M tokens"]},
    ),
    Shape(
        "prices of ten thousand tokens",
        data({"id": "lyra", "pricing": {"input": "0.04元/万tokens", "output": "0.16元每万个词元"}}),
        {"lyra": NO_PRICE},
        more={"lyra": ["input 4 CNY per 1M tokens", "output 16 CNY per 1M tokens"]},
    ),
    Shape(
        "prices in dollars of another country",
        data({"id": "lyra", "pricing": {"input": "A$0.50 / 1M", "output": "HK$2 / 1M"}}),
        {"lyra": NO_PRICE},
        more={"lyra": ["input 0.5 AUD per 1M tokens", "output 2 HKD per 1M tokens"]},
    ),
    Shape(
        "prices with a decimal comma",
        data({"id": "lyra", "pricing": {"input": "0,50 $ / 1M", "output": "1,25 $ / 1M"}}),
        {"lyra": prices("0.5", "1.25")},
    ),
    Shape(
        "currencies in names",
        data(
            {
                "id": "lyra",
                "pricing": {"input_usd_per_1m": 0.7, "input_cny_per_1m": 5, "output_cny_per_1m": 9},
            }
        ),
        {"lyra": prices("0.7", None)},
        more={"lyra": ["input 5 CNY per 1M tokens", "output 9 CNY per 1M tokens"]},
    ),
    Shape(
        "a currency by its number",
        data({"id": "lyra", "pricing": {"input": 4, "output": 16, "currency_code": 156}}),
        {"lyra": NO_PRICE},
    ),
    Shape(
        "cents beside the unit",
        data({"id": "lyra", "pricing": {"input": 50, "output": 150, "currency": "USD_CENTS", "unit": "1M"}}),
        {"lyra": prices("0.5", "1.5")},
    ),
    Shape(
        "a currency that the list does not state",
        data({"id": "lyra", "pricing": {"input": 4, "output": 16}}),
        {"lyra": NO_PRICE},
        config='prices = { unit = "1m", currency = "CNY" }',
        more={"lyra": ["input 4 CNY per 1M tokens", "output 16 CNY per 1M tokens"]},
    ),
    Shape(
        "prices of input that a cache has or has not",
        data({"id": "lyra", "pricing": {"prompt_cache_hit": 0.07, "prompt_cache_miss": 0.27, "output": 1.1}}),
        {"lyra": prices("0.27", "1.1", "0.07")},
        source="https://api-docs.deepseek.com/quick_start/pricing",
    ),
    Shape(
        "prices in yuan as texts",
        data({"id": "lyra", "pricing": {"input": "4元/百万tokens", "output": "16元/百万tokens"}}),
        {"lyra": NO_PRICE},
    ),
    Shape(
        "prices per image",
        data({"id": "sketch", "pricing": {"input": 0.04, "output": 0.08, "unit": "image"}}),
        {"sketch": NO_PRICE},
    ),
    Shape(
        "prices that cannot be",
        data({"id": "lyra", "input_cost_per_token": 0.25, "output_cost_per_token": 1}),
        {"lyra": NO_PRICE},
    ),
    Shape(
        "one price without a unit",
        data({"id": "lyra", "price": {"input": 2.5}}),
        {"lyra": NO_PRICE},
    ),
    Shape(
        "cheap prices without a unit",
        data({"id": "lyra", "pricing": {"input": 0.02, "output": 0.04}}),
        {"lyra": prices("0.02", "0.04")},
        config='prices = { unit = "1m" }',
    ),
    Shape(
        "prices under names of their own",
        data({"id": "lyra", "tariff": {"in": 0.5, "back": 2}}),
        {"lyra": prices("0.5", "2")},
        config='prices = { unit = "1m", input = "tariff.in", output = "tariff.back" }',
    ),
)

NORTH = {"id": "north", "name": "North Labs", "models": [{"id": "lyra", "ctx": 8192}, {"id": "vega"}]}
SOUTH = {"id": "south", "name": "South", "models": [{"id": "lyra", "owned_by": "stellar"}]}

PLACES = (
    Shape(
        "an object by id",
        {"models": {"heron": {"context_length": 8192}, "quarry/slate": {}}},
        {"heron": {"context_length": 8192}, "quarry/slate": {"context_length": None}},
    ),
    Shape(
        "an object by id as the answer",
        {"heron": {"max_tokens": 4096, "context_window": 8192}, "lumen": {"context_window": 1024}},
        {"heron": {"context_length": 8192}, "lumen": {"context_length": 1024}},
    ),
    Shape(
        "an object by id whose records have ids",
        {"data": {"models": {"1": {"id": "heron", "owned_by": "north"}, "2": {"id": "lumen"}}}},
        {"heron": {"owned_by": "north"}, "lumen": {}},
    ),
    Shape(
        "an object by id beside an array",
        {"models": {"heron": {"context_length": 8192}}, "aliases": ["h"]},
        {"heron": {"context_length": 8192}},
        config='list = "models"',
    ),
    Shape(
        "One-Hub's available models",
        {
            "success": True,
            "message": "",
            "data": {
                "lyra": {
                    "groups": ["default"],
                    "owned_by": "North",
                    "price": {
                        "model": "lyra",
                        "type": "tokens",
                        "channel_type": 1,
                        "input": 1.25,
                        "output": 5,
                    },
                }
            },
        },
        {"lyra": {"owned_by": "North"} | prices("2.5", "10", source="ratio")},
        source="https://github.com/MartialBE/one-hub/blob/main/controller/model.go",
    ),
    Shape(
        "LiteLLM's file of prices",
        {
            "sample_spec": {"litellm_provider": "one of https://docs.example", "max_tokens": "the longest"},
            "lyra": {
                "litellm_provider": "north",
                "max_input_tokens": 8192,
                "input_cost_per_token": 2.5e-06,
                "output_cost_per_token": 1e-05,
            },
        },
        {"lyra": {"owned_by": "north", "context_length": 8192} | prices("2.5", "10")},
        source="https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json",
    ),
    Shape(
        "lists in a list",
        {"providers": [NORTH, {"id": "east"}, {**SOUTH, "models": [{"id": "rigel"}]}]},
        {
            "lyra": {"owned_by": "north", "context_length": 8192},
            "vega": {"owned_by": "north"},
            "rigel": {"owned_by": "south"},
        },
        config='list = "providers[].models"\nfacts = { context_length = "ctx" }',
    ),
    Shape(
        "lists in a list with equal ids",
        {"providers": [NORTH, SOUTH]},
        {
            "north/lyra": {"owned_by": "north"},
            "north/vega": {"owned_by": "north"},
            "south/lyra": {"owned_by": "stellar"},
        },
        config='list = "providers[].models"\nid = "{^}/{id}"',
    ),
    Shape(
        "lists by the name of their provider",
        {"north": ["lyra", "vega"], "south": ["rigel"]},
        {"north/lyra": {"owned_by": "north"}, "north/vega": {}, "south/rigel": {"owned_by": "south"}},
        config='list = "*"\nid = "{^}/{id}"',
    ),
    Shape(
        "models.dev's catalogue",
        {
            "north": {
                "id": "north",
                "name": "North Labs",
                "env": ["NORTH_KEY"],
                "models": {
                    "lyra": {
                        "id": "lyra",
                        "name": "Lyra",
                        "limit": {"context": 8192, "output": 1024},
                        "cost": {"input": 0.5, "output": 2},
                    }
                },
            }
        },
        {
            "North Labs: lyra": {"owned_by": "north", "context_length": 8192, "max_output": 1024}
            | prices("0.5", "2")
        },
        config='list = "*.models"\nid = "{^name}: {id}"\ndialect = "models-dev"',
        source="https://models.dev/api.json",
    ),
    Shape(
        "an object in each line",
        b'{"id": "lyra", "context_length": 8192}\n\n{"id": "vega"}\r\n',
        {"lyra": {"context_length": 8192}, "vega": {}},
        source="https://jsonlines.org/",
    ),
    Shape(
        "ids of two fields",
        data({"provider": "north", "name": "lyra"}, {"provider": "south", "name": "lyra"}),
        {"north/lyra": {}, "south/lyra": {}},
        config='id = "{provider}/{name}"',
    ),
    Shape(
        "ids of a text and a field in an object",
        data({"id": 7, "meta": {"slug": "lyra"}}),
        {"acme-lyra-7": {}},
        config='id = "acme-{meta.slug}-{id}"',
    ),
    Shape(
        "ids at model_id",
        data({"model_id": "lyra", "name": "Lyra"}, {"model_id": "vega", "name": "Vega"}),
        {"lyra": {}, "vega": {}},
    ),
    Shape(
        "ids at modelName beside numbers",
        {"models": [{"id": 1, "modelName": "lyra"}, {"id": 2, "modelName": "vega"}]},
        {"lyra": {}, "vega": {}},
    ),
    Shape(
        "records of a page",
        {"code": 0, "data": {"records": [{"modelId": "lyra"}], "total": 1, "current": 1, "pages": 1}},
        {"lyra": {}},
    ),
    Shape(
        "ids at slug",
        data({"slug": "lyra"}, {"slug": "vega"}),
        {"lyra": {}, "vega": {}},
        config='id = "slug"',
    ),
)

PER_MILLION = {"unit": "per_million_tokens"}

CONDITIONS = (
    Shape(
        "prices of hours off the peak",
        data(
            row("lyra", pricing={"input": 0.5, "output": 2, "off_peak": {"input": 0.25}} | PER_MILLION),
        ),
        {"lyra": prices("0.5", "2")},
        more={"lyra": ["input 0.25 USD per 1M tokens, off-peak"]},
    ),
    Shape(
        "ranges of input, with labelled prices",
        data(
            row(
                "lyra",
                prices=[
                    {"range_name": "Input<=32K", "prices": _labelled("0.8", "3.2")},
                    {"range_name": "32K<Input<=128K", "prices": _labelled("1.2", "4.8")},
                ],
            ),
        ),
        {"lyra": prices("0.8", "3.2")},
        source="https://help.aliyun.com/zh/model-studio/models",
        more={
            "lyra": [
                "input 1.2 USD per 1M tokens, above 32000",
                "output 4.8 USD per 1M tokens, above 32000",
            ]
        },
    ),
    Shape(
        "names of long prompts",
        data(
            row(
                "lyra",
                input_price_per_million=1.25,
                output_price_per_million=10,
                input_price_per_million_above_200k=2.5,
            )
        ),
        {"lyra": prices("1.25", "10")},
        source="https://ai.google.dev/gemini-api/docs/pricing",
        more={"lyra": ["input 2.5 USD per 1M tokens, above 200000"]},
    ),
    Shape(
        "TrueFoundry's tiers",
        data(
            row(
                "lyra",
                costs={
                    "input_cost_per_token": 1e-6,
                    "output_cost_per_token": 4e-6,
                    "input_cost_per_token_batches": 5e-7,
                    "tiered_pricing": {"input": [{"from": 128000, "cost_per_token": 2e-6}]},
                },
            )
        ),
        {"lyra": prices("1", "4")},
        source="https://github.com/truefoundry/models/blob/main/test/model.cue",
        more={
            "lyra": ["input 0.5 USD per 1M tokens, batch", "input 2 USD per 1M tokens, above 128000"],
        },
    ),
    Shape(
        "prices of the standard and of batches",
        data(
            row(
                "lyra",
                pricing={"standard": {"input": 3, "output": 15}, "batch": {"input": 1.5, "output": 7.5}}
                | PER_MILLION,
            )
        ),
        {"lyra": prices("3", "15")},
        source="https://docs.claude.com/en/docs/about-claude/pricing",
        more={"lyra": ["input 1.5 USD per 1M tokens, batch", "output 7.5 USD per 1M tokens, batch"]},
    ),
    Shape(
        "prices of images, seconds and characters",
        data(
            row("sketch", output_cost_per_image=0.04),
            row("hear", pricing={"price_per_minute": 0.006}),
            row("speak", pricing={"input": {"price": 0.000015, "unit": "character"}}),
        ),
        {name: {"input_usd_per_1m": None, "price_source": None} for name in ("sketch", "hear", "speak")},
        more={
            "sketch": ["output 0.04 USD per image"],
            "hear": ["minute 0.006 USD per minute"],
            "speak": ["input 0.000015 USD per character"],
        },
    ),
    Shape(
        "prices in another currency",
        data(row("lyra", pricing={"input": 4, "output": 16, "currency": "CNY"} | PER_MILLION)),
        {"lyra": {"input_usd_per_1m": None, "price_source": None}},
        more={"lyra": ["input 4 CNY per 1M tokens", "output 16 CNY per 1M tokens"]},
    ),
    Shape(
        "tiers that state where they end",
        data(
            row(
                "lyra",
                pricing={"tiers": [{"up_to": 200000, "input": 2.5, "output": 10}, {"input": 5, "output": 15}]}
                | PER_MILLION,
            )
        ),
        {"lyra": prices("2.5", "10")},
        more={
            "lyra": ["input 5 USD per 1M tokens, above 200000", "output 15 USD per 1M tokens, above 200000"]
        },
    ),
    Shape(
        "tiers that begin with the last one",
        data(
            row(
                "lyra",
                pricing={
                    "tiers": [
                        {"above": 200000, "input": 5, "output": 15},
                        {"up_to": 200000, "input": 2.5, "output": 10},
                    ]
                }
                | PER_MILLION,
            )
        ),
        {"lyra": prices("2.5", "10")},
        more={
            "lyra": ["input 5 USD per 1M tokens, above 200000", "output 15 USD per 1M tokens, above 200000"]
        },
    ),
    Shape(
        "lengths as names",
        data(
            row(
                "lyra",
                pricing={
                    "input": {"<=200k": 1.25, ">200k": 2.5},
                    "output": {"up_to_200k": 10, "over_200k": 15},
                }
                | PER_MILLION,
            )
        ),
        {"lyra": prices("1.25", "10")},
        source="https://ai.google.dev/gemini-api/docs/pricing",
        more={
            "lyra": ["input 2.5 USD per 1M tokens, above 200000", "output 15 USD per 1M tokens, above 200000"]
        },
    ),
    Shape(
        "a long context whose length stands beside it",
        data(
            row(
                "lyra",
                pricing={
                    "input": 1.25,
                    "output": 10,
                    "long_context_input": 2.5,
                    "long_context_threshold": 200000,
                }
                | PER_MILLION,
            )
        ),
        {"lyra": prices("1.25", "10")},
        more={"lyra": ["input 2.5 USD per 1M tokens, above 200000"]},
    ),
    Shape(
        "caches by how long they are kept",
        data(
            row(
                "lyra",
                pricing={
                    "input": 3,
                    "output": 15,
                    "cache_creation": {"ephemeral_5m_input_tokens": 3.75, "ephemeral_1h_input_tokens": 6},
                }
                | PER_MILLION,
            )
        ),
        {"lyra": prices("3", "15", write="3.75")},
        source="https://docs.claude.com/en/docs/build-with-claude/prompt-caching",
        more={"lyra": ["cache_write 6 USD per 1M tokens, 1h"]},
    ),
    Shape(
        "prices of hours, megapixels and thousands of searches",
        data(
            row("hear", pricing={"input": 0.111, "unit": "hour"}),
            row("sketch", pricing={"per_megapixel": 0.0027}),
            row("seek", pricing={"web_search_per_1k": 10}),
        ),
        {name: {"input_usd_per_1m": None, "price_source": None} for name in ("hear", "sketch", "seek")},
        more={
            "hear": ["input 0.111 USD per hour"],
            "sketch": ["megapixel 0.0027 USD per megapixel"],
            "seek": ["search 0.01 USD per search"],
        },
    ),
    Shape(
        "tiers by a condition that is not the length of the prompt",
        data(
            row(
                "lyra",
                pricing={"input": 1, "output": 2, "tiers": [{"min": 5, "region": "eu", "input": 9}]}
                | PER_MILLION,
            )
        ),
        {"lyra": prices("1", "2")},
        more={},
    ),
)

SHAPES = (*OPENAI_LIKE, *MORE_GATEWAYS, *OPENROUTER_LIKE, *FAMILIES, *FORMS, *PLACES, *CONDITIONS)

NEEDS_NO_LINE = sum(not shape.config for shape in SHAPES)
"""The number of shapes that are read without a line in the config beside `url`."""
