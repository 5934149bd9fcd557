"""The table, in parts; a suite is what one gateway is asked in one go."""

from rows import coap, operations, setting

SUITES = {"odd": (setting.rows, coap.rows, operations.rows)}
