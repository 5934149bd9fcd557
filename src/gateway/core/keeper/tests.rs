//! When the keeper asks the store, and what it does with each answer.

use super::*;
use crate::persist::Instance;

#[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
fn t0() -> Instant {
    Instant::now()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn loaded() -> Answer {
    Answer::Loaded { contents: Contents::default(), moved_aside: None, unwritable: None }
}

fn failed(batch: u64) -> Answer {
    Answer::Failed { batch, reason: "the disk is full".into(), emptied: false }
}

fn write(id: u16, key: &str) -> Write {
    let key = vec![key.to_owned()];
    Write::Instance(Instance { object: 3303, id, key, sources: vec![], first_seen: None, last_seen: None })
}

/// A keeper whose store has answered.
fn keeping(now: Instant) -> Keeper {
    let mut keeper = Keeper::new(now);
    assert_eq!(keeper.poll_request(), Some(Request::Load));
    assert!(matches!(keeper.handle_answer(loaded(), now), Some(News::Loaded(_))));
    keeper
}

/// The writes of the next request, if there is one.
fn asked(keeper: &mut Keeper) -> Option<(u64, Vec<Write>)> {
    match keeper.poll_request()? {
        Request::Load => panic!("loaded twice"),
        Request::Write { batch, writes } => Some((batch, writes)),
    }
}

#[test]
fn changes_of_a_second_are_one_batch_with_the_newest_of_each() {
    let start = t0();
    let mut keeper = keeping(start);
    keeper.put(write(0, "a"), Urgency::Soon, start);
    keeper.put(write(1, "b"), Urgency::Lazily, start);
    keeper.put(write(0, "c"), Urgency::Soon, start + GATHER / 2);
    let due = keeper.poll_timeout().unwrap().at;
    assert_eq!(due, start + GATHER);
    keeper.handle_timeout(due - Duration::from_millis(1));
    assert_eq!(asked(&mut keeper), None);
    keeper.handle_timeout(due);
    assert_eq!(asked(&mut keeper), Some((1, vec![write(0, "c"), write(1, "b")])));
    assert_eq!((keeper.status().waiting, keeper.poll_timeout()), (2, None));
    keeper.handle_answer(Answer::Committed { batch: 1 }, due);
    let status = keeper.status();
    assert_eq!((status.waiting, status.commits, status.writes), (0, 1, 2));
    assert!(keeper.is_done());
}

#[test]
fn what_may_get_lost_waits_for_an_hour() {
    let start = t0();
    let mut keeper = keeping(start);
    keeper.put(write(0, "a"), Urgency::Lazily, start);
    assert_eq!(keeper.poll_timeout().unwrap().at, start + GATHER_LAZILY);
}

#[test]
fn one_batch_is_in_hand_and_none_is_longer_than_its_bound() {
    let start = t0();
    let mut keeper = keeping(start);
    (0..GROUP_IS_FULL as u16).for_each(|id| keeper.put(write(id, "x"), Urgency::Lazily, start));
    keeper.handle_timeout(start);
    assert_eq!(asked(&mut keeper).unwrap().1.len(), GROUP_IS_FULL);
    (0..3000).for_each(|id| keeper.put(write(id, "y"), Urgency::Soon, start));
    keeper.handle_timeout(start + secs(10));
    assert_eq!(asked(&mut keeper), None);
    let mut sizes = vec![];
    for batch in 1..=4 {
        keeper.handle_answer(Answer::Committed { batch }, start);
        keeper.handle_timeout(start);
        sizes.extend(asked(&mut keeper).map(|(_, writes)| writes.len()));
    }
    assert_eq!(sizes, [MAX_BATCH, MAX_BATCH, 3000 - 2 * MAX_BATCH]);
    assert!(keeper.is_done());
}

#[test]
fn what_fails_stays_and_is_tried_again_later_and_later_until_it_works() {
    let start = t0();
    let mut keeper = keeping(start);
    keeper.put(write(0, "a"), Urgency::Soon, start);
    keeper.put(write(1, "b"), Urgency::Soon, start);
    let mut now = keeper.poll_timeout().unwrap().at;
    let mut pauses = vec![];
    for batch in 1..=9 {
        keeper.handle_timeout(now);
        assert_eq!(asked(&mut keeper).unwrap().0, batch);
        // Newer than what is in hand.
        keeper.put(write(0, &batch.to_string()), Urgency::Soon, now);
        keeper.handle_answer(failed(batch), now);
        let next = keeper.poll_timeout().unwrap().at;
        pauses.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    assert_eq!(keeper.status().trouble.as_deref(), Some("the disk is full"));
    keeper.handle_timeout(now);
    assert_eq!(asked(&mut keeper), Some((10, vec![write(0, "9"), write(1, "b")])));
    keeper.handle_answer(Answer::Committed { batch: 10 }, now);
    assert_eq!((keeper.status().trouble, keeper.status().failures), (None, 9));
    keeper.put(write(2, "c"), Urgency::Soon, now);
    assert_eq!(keeper.poll_timeout().unwrap().at, now + GATHER, "the pause is over");
}

#[test]
fn a_store_that_does_not_answer_holds_up_nothing_for_longer_than_five_seconds() {
    let start = t0();
    let mut keeper = Keeper::new(start);
    keeper.poll_request();
    keeper.put(write(0, "a"), Urgency::Soon, start);
    assert!(!keeper.is_settled());
    let deadline = keeper.poll_timeout().unwrap().at;
    assert_eq!(deadline, start + READ_WITHIN);
    keeper.handle_timeout(deadline);
    assert!(keeper.is_settled() && keeper.status().reading);
    assert_eq!(
        (asked(&mut keeper), keeper.poll_timeout()),
        (None, None),
        "nothing is written before it is read"
    );
    assert!(matches!(keeper.handle_answer(loaded(), deadline), Some(News::Loaded(_))));
    keeper.handle_timeout(deadline);
    assert_eq!(asked(&mut keeper).unwrap().1, [write(0, "a")]);
}

#[test]
fn a_store_that_cannot_be_written_is_tried_again_all_the_same() {
    let start = t0();
    let mut keeper = Keeper::new(start);
    keeper.poll_request();
    let unwritable = Some("read-only".to_owned());
    keeper.handle_answer(
        Answer::Loaded { contents: Contents::default(), moved_aside: None, unwritable },
        start,
    );
    assert_eq!(keeper.status().trouble.as_deref(), Some("read-only"));
    keeper.put(write(0, "a"), Urgency::Soon, start);
    assert!(keeper.is_done(), "nobody waits for such a store");
    keeper.handle_timeout(start + GATHER);
    assert!(asked(&mut keeper).is_some() && !keeper.is_done());
    keeper.handle_answer(Answer::Committed { batch: 1 }, start);
    assert_eq!(keeper.status().trouble, None);
}

#[test]
fn at_the_end_what_waits_goes_at_once() {
    let start = t0();
    let mut keeper = keeping(start);
    keeper.put(write(0, "a"), Urgency::Lazily, start);
    keeper.flush(start);
    assert!(asked(&mut keeper).is_some() && !keeper.is_done());
    keeper.handle_answer(failed(1), start);
    assert!(keeper.is_done());
    assert_eq!(keeper.handle_answer(Answer::Committed { batch: 1 }, start), None, "an answer counts once");
}

#[test]
fn a_disk_that_forgot_is_told() {
    let start = t0();
    let mut keeper = keeping(start);
    keeper.put(write(0, "a"), Urgency::Soon, start);
    keeper.flush(start);
    let answer = Answer::Failed { batch: 1, reason: "damaged".into(), emptied: true };
    assert_eq!(keeper.handle_answer(answer, start), Some(News::Emptied));
    assert_eq!(keeper.status().waiting, 1);
}
