"""The categories of fields: by the words of their paths, their values, and the facts of a dialect."""

from __future__ import annotations

import pytest

from pipeline.core.categories import STAGE, categorise, categorise_change


@pytest.mark.parametrize(
    ("field", "sorted_as"),
    [
        ("pricing.input", "price"),
        ("pricing.cache_read", "price"),
        ("model_ratio", "price"),
        ("completion_ratio", "price"),
        ("quota_type", "price"),
        ("input_cost_per_token", "price"),
        ("context_length", "limits"),
        ("max_output", "limits"),
        ("top_provider.max_completion_tokens", "limits"),
        ("rate_limits.0.rpm", "limits"),
        ("supported_endpoint_types", "capabilities"),
        ("input_modalities", "capabilities"),
        ("features", "capabilities"),
        ("supported_parameters", "capabilities"),
        ("permission.0.allow_view", "capabilities"),
        ("deprecation_date", "lifecycle"),
        ("expiration_date", "lifecycle"),
        ("replacement", "lifecycle"),
        ("description", "text"),
        ("desc_en", "text"),
        ("owned_by", "text"),
        ("created", "text"),
        ("name", "text"),
        ("display_name", "text"),
        ("tags", "text"),
        ("object", "other"),
        ("root", "other"),
        ("parent", "other"),
        ("model_name_of_upstream", "other"),
    ],
)
def test_a_path_has_a_category(field: str, sorted_as: str) -> None:
    assert categorise(field) == sorted_as


@pytest.mark.parametrize(
    ("field", "category"),
    [
        # prices, nested, in camel case, as ratios and per unit
        ("pricing.prompt", "price"),
        ("pricing.tiers.0.input", "price"),
        ("price.input.usd", "price"),
        ("inputPrice", "price"),
        ("outputCostPerToken", "price"),
        ("cost_per_1k_tokens", "price"),
        ("usd_per_call", "price"),
        ("inputPer1M", "price"),
        ("per1k", "price"),
        ("group_ratio", "price"),
        ("image_fee", "price"),
        ("billing_expr", "price"),
        ("quotaType", "price"),
        ("prompt_text_token_price", "price"),
        ("price_currency", "price"),
        # no prices
        ("feedback", "other"),
        ("feedback_score", "other"),
        ("coffee", "other"),
        ("cost_center", "other"),
        ("costCentre", "other"),
        ("preview", "other"),
        ("preview.notes", "text"),
        ("price_description", "text"),
        ("pricing.description", "text"),
        ("pricing.description.en", "text"),
        ("pricing.tiers.0.label", "text"),
        ("pricing_url", "text"),
        ("priceNote", "text"),
        ("aspect_ratio", "other"),
        ("supported_aspect_ratios", "capabilities"),
        ("rationale", "other"),
        ("generation", "other"),
        # lifecycle
        ("deprecated", "lifecycle"),
        ("isDeprecated", "lifecycle"),
        ("shutdownDate", "lifecycle"),
        ("end_of_life", "lifecycle"),
        ("eol", "lifecycle"),
        ("lifecycle_status", "lifecycle"),
        ("expires_at", "lifecycle"),
        ("url_expires_at", "text"),
        ("cache_expiry", "other"),
        ("geological", "other"),
        ("removal_date", "lifecycle"),
        ("removesAt", "lifecycle"),
        ("end_date", "lifecycle"),
        ("metadata.model_end_date", "lifecycle"),
        ("availableUntil", "lifecycle"),
        ("valid_until", "lifecycle"),
        ("phase_out", "lifecycle"),
        ("phaseOutDate", "lifecycle"),
        ("phased_out_at", "lifecycle"),
        ("decommission_date", "lifecycle"),
        ("discontinued_at", "lifecycle"),
        ("offline_time", "lifecycle"),
        ("offlineDate", "lifecycle"),
        ("support_until", "lifecycle"),
        ("termination_date", "lifecycle"),
        # ends of something else
        ("price.promotion.end_date", "price"),
        ("pricing.discount.valid_until", "price"),
        ("pricing.expires_at", "price"),
        ("promotion.end_date", "other"),
        ("promo_end_date", "other"),
        ("free_until", "other"),
        ("free_trial.ends_at", "other"),
        ("knowledge_end_date", "other"),
        ("training_data.end_date", "other"),
        ("backend_date", "other"),
        ("start_date", "other"),
        ("end_user", "other"),
        ("validation", "other"),
        # counters
        ("downloads", "counters"),
        ("download_count", "counters"),
        ("downloadCount", "counters"),
        ("downloadsAllTime", "counters"),
        ("stats.downloads", "counters"),
        ("stats.last_week", "counters"),
        ("likes", "counters"),
        ("like_count", "counters"),
        ("stars", "counters"),
        ("favorites", "counters"),
        ("favourite_count", "counters"),
        ("run_count", "counters"),
        ("runCount", "counters"),
        ("total_runs", "counters"),
        ("num_requests", "counters"),
        ("views", "counters"),
        ("usage", "counters"),
        ("usage.tokens", "counters"),
        ("weekly_usage", "counters"),
        ("popularity", "counters"),
        ("ranking.position", "counters"),
        ("trending_rank", "counters"),
        # no counters
        ("max_downloads", "limits"),
        ("max_runs", "limits"),
        ("usage_limit", "limits"),
        ("usage.max_tokens", "limits"),
        ("limits.usage", "limits"),
        ("rate_limits.requests", "limits"),
        ("total_tokens_per_minute", "limits"),
        ("max_lora_rank", "limits"),
        ("parameter_count", "capabilities"),
        ("allow_view", "other"),
        ("permission.0.allow_view", "capabilities"),
        ("review", "other"),
        # limits
        ("maxTokens", "limits"),
        ("inputTokenLimit", "limits"),
        ("contextLength", "limits"),
        ("contextlength", "limits"),
        ("limits.RPM", "limits"),
        ("tokenizer", "other"),
        ("mime_type", "capabilities"),
        ("prototype", "other"),
        ("revision", "other"),
        ("supports_url_context", "capabilities"),
        ("image_url", "text"),
        ("sort_order", "text"),
        ("border", "other"),
        ("seventitle", "other"),
    ],
)
def test_words_decide_and_not_parts_of_words(field: str, category: str) -> None:
    assert categorise(field) == category


FACTS = {
    "status": STAGE,
    "retire_stage": STAGE,
    "end": "lifecycle",
    "vendor": "text",
    "context": "limits",
    "tags": "capabilities",
    "skills": "capabilities",
    "p": "price",
}


@pytest.mark.parametrize(
    ("field", "category"),
    [
        ("vendor", "text"),
        ("vendor.name", "text"),
        ("vendor.code", "other"),
        ("context", "limits"),
        ("tags", "capabilities"),
        ("tags.0.name", "text"),
        ("skills.vision", "capabilities"),
        ("skills.seeing", "capabilities"),
        ("skills.description", "text"),
        ("end", "lifecycle"),
        ("end.year", "lifecycle"),
        ("p", "price"),
        ("p.q", "other"),
        ("q", "other"),
    ],
)
def test_the_meaning_of_a_fact_is_the_category_of_its_field(field: str, category: str) -> None:
    assert categorise_change(field, "1", "2", FACTS) == category


@pytest.mark.parametrize(
    ("before", "after", "category"),
    [
        ("1", "2", "other"),
        (None, "1", "other"),
        ("0", "1", "other"),
        ('"active"', '"inactive"', "other"),
        ("true", "false", "other"),
        ('"active"', '"deprecated"', "lifecycle"),
        ('"DEPRECATING"', '"ACTIVE"', "lifecycle"),
        ('"active"', '"end-of-life"', "lifecycle"),
        (None, '"Retired"', "lifecycle"),
        ('"sunset"', None, "lifecycle"),
        ('"active"', '"2026-12-20"', "lifecycle"),
    ],
)
def test_a_status_is_of_the_lifecycle_where_it_announces_an_end(
    before: str | None, after: str | None, category: str
) -> None:
    assert categorise_change("status", before, after, FACTS) == category
    assert categorise_change("retire_stage", before, after, FACTS) in (category, "lifecycle")


@pytest.mark.parametrize(
    ("before", "after", "category"),
    [
        (None, '"2026-09-01"', "lifecycle"),
        ('"2026-09-01"', None, "lifecycle"),
        ("null", "1788220800", "lifecycle"),
        ("null", "1788220800000", "lifecycle"),
        (None, '"never"', "other"),
        (None, '"9999-12-31"', "other"),
        ("null", '""', "other"),
        ('"18:00"', '"20:00"', "other"),
        ("true", "false", "other"),
    ],
)
def test_an_end_is_of_the_lifecycle_where_it_is_a_date(
    before: str | None, after: str | None, category: str
) -> None:
    for path in ("end_date", "available_until", "valid_until", "removal_date"):
        assert categorise_change(path, before, after) == category
    assert categorise_change("shutdown_date", before, after) == "lifecycle"


def test_a_stage_by_its_own_name_is_of_the_lifecycle_with_any_value() -> None:
    facts = {"lifecycle_status": STAGE}
    assert categorise_change("lifecycle_status", '"ga"', '"preview"', facts) == "lifecycle"


def test_a_status_that_no_dialect_reads_is_no_stage() -> None:
    assert categorise_change("status", '"active"', '"deprecated"') == "other"


@pytest.mark.parametrize(
    ("before", "after", "category"),
    [
        ("1", "2", "counters"),
        ("1.5", "2", "counters"),
        (None, "2", "counters"),
        ("2", "null", "counters"),
        ('"1,234"', '"1.2k"', "counters"),
        ('"for chat"', '"for code"', "other"),
        ('"12 a day"', '"13 a day"', "other"),
        ("true", "false", "other"),
    ],
)
def test_a_counter_has_numbers(before: str | None, after: str | None, category: str) -> None:
    assert categorise_change("usage", before, after) == category
