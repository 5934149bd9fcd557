"""A scripted LwM2M server. `main.py SUITE` prints where it listens, then one line for each row; the last line counts them.

The test that starts it points a gateway here and does what lines beginning with `> ` ask for (`dialogue.Dialogue.ask`).
"""

import sys

import onenet
from dialogue import Dialogue, Failure, say
from rows import SUITES


def run(talk, row):
    """Gives what is wrong, or nothing."""
    talk.begin(row.title)
    talk.own = row.own
    wrong = None
    try:
        for step in row.steps:
            step(talk)
        talk.expect_nothing()
    except Failure as failure:
        wrong = str(failure)
    talk.settle(failed=wrong is not None)
    return wrong


def table(suite):
    talk = Dialogue()
    say(f"ready coap://127.0.0.1:{talk.port}")
    talk.wait_for_registration()
    failed = 0
    rows = [row for part in SUITES[suite] for row in part(talk)]
    for row in rows:
        wrong = run(talk, row)
        if wrong is None:
            say(f"ok {row.title}")
            continue
        failed += 1
        say(f"FAILED {row.title}\n    {wrong}")
        for line in talk.story[1:]:
            say(f"    {line}")
    say(f"end {len(rows)} rows, {failed} failed")


def main(suite):
    if suite == "onenet":
        onenet.main()
    else:
        table(suite)


if __name__ == "__main__":
    main(*sys.argv[1:])
