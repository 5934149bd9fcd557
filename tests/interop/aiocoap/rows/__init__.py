"""The table, in parts; a suite is what one gateway is asked in one go."""

from rows import blocks, coap, formats, instances, observe, operations, registration, setting

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
    )
}
