"""A scripted LwM2M server. `main.py SUITE` prints where it listens, then one line for each row; the last line counts them.

The test that starts it points a gateway here and does what lines beginning with `> ` ask for (`dialogue.Dialogue.ask`).
"""

import sys

import onenet
from dialogue import Dialogue, Failure, say
from rows import PAIR, SUITES


def run(talks, row):
    """Gives what is wrong, or nothing."""
    for talk in talks:
        talk.begin(row.title)
        talk.own = row.own
        # One story, whoever tells.
        talk.story = talks[0].story
    wrong = None
    try:
        for step in row.steps:
            step(talks[0])
        for talk in talks:
            talk.expect_nothing()
    except Failure as failure:
        wrong = str(failure)
    for talk in talks:
        talk.settle(failed=wrong is not None)
    return wrong


def table(suite):
    talks = [Dialogue(), Dialogue()] if suite == PAIR else [Dialogue()]
    talks[0].other, talks[-1].other = talks[-1], talks[0]
    say("ready " + " ".join(f"coap://127.0.0.1:{talk.port}" for talk in talks))
    for talk in talks:
        talk.wait_for_registration()
    failed = 0
    rows = [row for part in SUITES[suite] for row in part(talks[0])]
    for row in rows:
        wrong = run(talks, row)
        if wrong is None:
            say(f"ok {row.title}")
            continue
        failed += 1
        say(f"FAILED {row.title}\n    {wrong}")
        for line in talks[0].story[1:]:
            say(f"    {line}")
    say(f"end {len(rows)} rows, {failed} failed")


def main(suite):
    if suite == "onenet":
        onenet.main()
    else:
        table(suite)


if __name__ == "__main__":
    main(*sys.argv[1:])
