"""What a gateway may send at most: more than any known list has, and little enough for 300 MB of memory.

`max_body` and `max_models` are settings of a gateway, for lists that are longer; the others are fixed.
"""

MAX_BODY = 8 * 1024 * 1024
"""The default of `max_body`: the bytes of all pages of a list, decompressed."""

MAX_MODELS = 20_000
"""The default of `max_models`: the records of all pages of a list."""

MAX_VALUES = 500_000
"""The values (members, elements) of one body of JSON, by its commas and brackets.

Decoded, each takes up to `VALUE_SIZE` bytes, however short it is in the body.
"""

VALUE_SIZE = 200
"""The bytes of a decoded value."""

MAX_ESCAPES = 300_000
"""The escaped letters of a body (JSON, URLs, HTML): they may hide a secret, and are decoded many times."""

MAX_RECORD = 1_000_000
"""The bytes of a record, as canonical JSON."""

MAX_RAW_RECORD = 6 * MAX_RECORD
"""The bytes of a record as it came: JSON may write a letter in six, such as `\\u00e9`."""

MAX_NAME = 256
"""The characters of a name in a record, or of its model's id: both are keys of caches and indexes."""

NEW_RECORDS_PER_BODY = 4
"""So many times `max_body` may all distinct records of a gateway in one run take, which stay in memory."""

RECORD_OVERHEAD = 1000
"""The bytes that a record takes beside its text."""

SMALL_ANSWER = 2 * 1024 * 1024
"""The bytes above which only one answer of a gateway is in memory at a time, as it came."""

MAX_NAMES = 200
"""The names of an object above which what they mean is not cached."""
