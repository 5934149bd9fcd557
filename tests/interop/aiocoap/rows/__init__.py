"""The table, in parts; a suite is what one gateway is asked in one go."""

from rows import blocks, coap, first, formats, instances, observe, operations, pair, registration, setting

# The suite of two servers.
PAIR = "pair"
# In this order: the last rows end the gateway.
SUITES = {
    "odd": (
        setting.rows,
        coap.rows,
        operations.rows,
        instances.rows,
        formats.rows,
        blocks.rows,
        observe.rows,
        registration.rows,
    ),
    PAIR: (setting.rows, pair.rows),
    "1.0": (first.rows,),
}
