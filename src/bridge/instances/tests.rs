//! Which instance stands for what, in one run and over several.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::bridge::mapping::RetainedSettings;
use crate::bridge::pick::Picker;
use crate::persist::Write;

/// One mapping of this filter, whose first capture names the instance.
fn mapping(object: u16, topic: &str) -> Mapping {
    Mapping {
        number: 0,
        retained: RetainedSettings::Take,
        filter: Some(super::super::topic::Filter::parse(topic).unwrap()),
        object,
        instance: Selector::Captured(vec![0]),
        max_instances: 8,
        forget_after: None,
        feeds: vec![],
        picker: Picker::new([]),
    }
}

fn rooms() -> Vec<Mapping> {
    vec![mapping(3303, "rooms/{room}/t"), mapping(3303, "attic/{dev}/t"), mapping(3416, "lamps/{lamp}")]
}

fn fixed(object: u16, id: u16) -> Mapping {
    Mapping { instance: Selector::Fixed(id), ..mapping(object, "fixed") }
}

/// What the store has after everything was written.
fn written(instances: &mut Instances) -> Vec<persist::Instance> {
    let mut kept = BTreeMap::new();
    while let Some((write, _)) = instances.poll_write() {
        match write {
            Write::Instance(instance) => drop(kept.insert((instance.object, instance.id), instance)),
            Write::Forget { object, id } => drop(kept.remove(&(object, id))),
            Write::Modem(_) => panic!("no business of instances"),
        }
    }
    kept.into_values().collect()
}

fn writes(instances: &mut Instances) -> Vec<(Write, Urgency)> {
    std::iter::from_fn(|| instances.poll_write()).collect()
}

#[test]
fn the_same_capture_is_the_same_instance_in_all_mappings_of_an_object() {
    let mut instances = Instances::new(&rooms());
    assert_eq!(instances.find_or_allocate(0, 3303, &["21"]), Ok(0));
    assert_eq!(instances.find_or_allocate(0, 3303, &["7"]), Ok(1));
    assert_eq!(instances.find_or_allocate(1, 3303, &["7"]), Ok(1));
    assert_eq!(instances.find_or_allocate(2, 3416, &["7"]), Ok(0));
    assert_eq!(instances.key(3303, 1), Some(&vec!["7".to_owned()]));
    assert_eq!(instances.key(3303, 2), None);
}

#[test]
fn reserved_ids_are_passed_over() {
    let mut instances = Instances::new(&[mapping(3303, "a/{b}"), fixed(3303, 0), fixed(3303, 2)]);
    let ids = ["a", "b", "c"].map(|room| instances.find_or_allocate(0, 3303, &[room]).unwrap());
    assert_eq!(ids, [1, 3, 4]);
}

#[test]
fn a_mapping_gets_no_more_than_its_bound_which_is_said_once_and_others_are_not_hindered() {
    let mut instances = Instances::new(&rooms());
    for room in 0..8 {
        instances.find_or_allocate(0, 3303, &[&room.to_string()]).unwrap();
    }
    let full = |first| Err(InstanceError::Full { max: 8, first });
    assert_eq!(instances.find_or_allocate(0, 3303, &["one more"]), full(true));
    assert_eq!(instances.find_or_allocate(0, 3303, &["0"]), Ok(0));
    assert_eq!(instances.find_or_allocate(1, 3303, &["one more"]), Ok(8));
    assert_eq!(instances.find_or_allocate(0, 3303, &["one more"]), full(false));
}

#[test]
fn mappings_of_one_filter_share_the_smallest_bound() {
    let small = Mapping { max_instances: 1, ..mapping(3303, "rooms/{device}/t") };
    let mut instances = Instances::new(&[mapping(3303, "rooms/{room}/t"), small]);
    assert_eq!(instances.find_or_allocate(0, 3303, &["a"]), Ok(0));
    assert_eq!(instances.find_or_allocate(1, 3303, &["a"]), Ok(0));
    assert!(matches!(instances.find_or_allocate(0, 3303, &["b"]), Err(InstanceError::Full { max: 1, .. })));
}

#[test]
fn long_and_empty_captures_are_refused() {
    let mut instances = Instances::new(&rooms());
    let long = "x".repeat(MAX_CAPTURE_OCTETS + 1);
    assert_eq!(instances.find_or_allocate(0, 3303, &[&long]), Err(InstanceError::BadCapture));
    assert_eq!(instances.find_or_allocate(0, 3303, &[""]), Err(InstanceError::BadCapture));
}

#[test]
fn ids_stay_when_topics_come_in_another_order_after_a_restart() {
    let mut before = Instances::new(&rooms());
    for room in ["cellar", "attic", "hall"] {
        before.find_or_allocate(0, 3303, &[room]).unwrap();
    }
    let mut after = Instances::new(&rooms());
    assert_eq!(after.restore(written(&mut before)), [(3303, 0), (3303, 1), (3303, 2)]);
    assert!(writes(&mut after).is_empty(), "what was read need not be written");
    assert_eq!(after.find_or_allocate(0, 3303, &["yard"]), Ok(3));
    assert_eq!(after.find_or_allocate(0, 3303, &["hall"]), Ok(2));
    assert_eq!(after.find_or_allocate(0, 3303, &["cellar"]), Ok(0));
}

#[test]
fn what_a_mapping_that_is_gone_brought_about_keeps_its_id_and_is_not_shown() {
    let mut before = Instances::new(&rooms());
    before.find_or_allocate(1, 3303, &["dev"]).unwrap();
    before.find_or_allocate(0, 3303, &["hall"]).unwrap();
    let kept = written(&mut before);
    let mut without = Instances::new(&rooms()[..1]);
    assert_eq!(without.restore(kept.clone()), [(3303, 1)]);
    assert_eq!(without.find_or_allocate(0, 3303, &["new"]), Ok(2));
    // Another mapping that hears of the same captures takes them over, and the mapping that comes back still knows them.
    assert_eq!(without.find_or_allocate(0, 3303, &["dev"]), Ok(0));
    let mut again = Instances::new(&rooms());
    assert_eq!(again.restore(written(&mut without)), [(3303, 0), (3303, 2)]);
    assert_eq!(again.restore(kept), [(3303, 1)], "what is known already is left out");
}

#[test]
fn renamed_captures_are_the_same_source_and_other_captures_are_not() {
    let mut before = Instances::new(&[mapping(3303, "site/{a}/{b}")]);
    before.find_or_allocate(0, 3303, &["x"]).unwrap();
    let kept = written(&mut before);
    assert_eq!(Instances::new(&[mapping(3303, "site/{c}/{d}")]).restore(kept.clone()), [(3303, 0)]);
    let second = Mapping { instance: Selector::Captured(vec![1]), ..mapping(3303, "site/{a}/{b}") };
    assert!(Instances::new(&[second]).restore(kept).is_empty());
}

#[test]
fn what_is_remembered_counts_and_beyond_the_bound_is_not_shown() {
    let mut before = Instances::new(&rooms());
    for room in 0..8 {
        before.find_or_allocate(0, 3303, &[&room.to_string()]).unwrap();
    }
    let lower = Mapping { max_instances: 3, ..mapping(3303, "rooms/{room}/t") };
    let mut after = Instances::new(&[lower]);
    assert_eq!(after.restore(written(&mut before)).len(), 3);
    assert_eq!(after.find_or_allocate(0, 3303, &["2"]), Ok(2));
    assert!(matches!(after.find_or_allocate(0, 3303, &["7"]), Err(InstanceError::Full { first: true, .. })));
}

#[test]
fn an_id_that_a_mapping_names_now_is_forgotten_for_its_captures() {
    let mut before = Instances::new(&rooms());
    before.find_or_allocate(0, 3303, &["hall"]).unwrap();
    let mut after = Instances::new(&[mapping(3303, "rooms/{room}/t"), fixed(3303, 0)]);
    assert!(after.restore(written(&mut before)).is_empty());
    assert_eq!(writes(&mut after), [(Write::Forget { object: 3303, id: 0 }, Urgency::Soon)]);
    assert_eq!(after.find_or_allocate(0, 3303, &["hall"]), Ok(1));
}

#[test]
fn what_contradicts_this_run_or_is_no_instance_is_left_out() {
    let old = |id, key: &[&str]| persist::Instance {
        object: 3303,
        id,
        key: key.iter().map(|part| (*part).to_owned()).collect(),
        sources: vec!["rooms/+/t 0".to_owned()],
        first_seen: None,
        last_seen: None,
    };
    let mut instances = Instances::new(&rooms());
    instances.find_or_allocate(0, 3303, &["a"]).unwrap();
    let late = vec![old(0, &["b"]), old(5, &["a"]), old(u16::MAX, &["c"]), old(6, &["x/y"]), old(7, &[])];
    assert!(instances.restore(late).is_empty());
    assert_eq!(instances.restore(vec![old(9, &["d"])]), [(3303, 9)]);
}

#[test]
fn a_sensor_that_speaks_all_day_is_written_once_a_day() {
    let mut instances = Instances::new(&rooms());
    instances.set_today(Some(Day(20_100)));
    for _ in 0..3 {
        instances.find_or_allocate(0, 3303, &["hall"]).unwrap();
    }
    assert!(matches!(&writes(&mut instances)[..], [(_, Urgency::Soon)]));
    instances.set_today(Some(Day(20_101)));
    for _ in 0..3 {
        instances.find_or_allocate(0, 3303, &["hall"]).unwrap();
    }
    let again = writes(&mut instances);
    let [(Write::Instance(hall), Urgency::Lazily)] = &again[..] else { panic!("{again:?}") };
    assert_eq!((hall.first_seen, hall.last_seen), (Some(Day(20_100)), Some(Day(20_101))));
    instances.set_today(None);
    instances.find_or_allocate(0, 3303, &["hall"]).unwrap();
    assert!(writes(&mut instances).is_empty());
}

#[test]
fn who_was_silent_for_too_long_is_forgotten_and_its_id_is_free() {
    let forgetful = Mapping { forget_after: Some(30), ..mapping(3303, "rooms/{room}/t") };
    let mut instances = Instances::new(&[forgetful, mapping(3303, "attic/{dev}/t")]);
    assert!(!instances.may_forget());
    instances.find_or_allocate(0, 3303, &["without a clock"]).unwrap();
    instances.set_today(Some(Day(20_100)));
    assert!(instances.may_forget());
    for room in ["silent", "loud", "shared"] {
        instances.find_or_allocate(0, 3303, &[room]).unwrap();
    }
    instances.find_or_allocate(1, 3303, &["shared"]).unwrap();
    assert!(instances.forget_silent().is_empty());
    instances.set_today(Some(Day(20_130)));
    instances.find_or_allocate(0, 3303, &["loud"]).unwrap();
    assert!(instances.forget_silent().is_empty(), "thirty days are over tomorrow");
    writes(&mut instances);
    instances.set_today(Some(Day(20_131)));
    assert_eq!(instances.forget_silent(), [(3303, 0), (3303, 1)]);
    assert_eq!(instances.key(3303, 1), None);
    assert_eq!(writes(&mut instances).len(), 2);
    assert_eq!(instances.find_or_allocate(0, 3303, &["new"]), Ok(0));
}

proptest! {
    #[test]
    fn ids_and_captures_stay_one_to_one_over_restarts(
        steps in prop::collection::vec((0_usize..2, "[a-c]{1,2}", prop::bool::weighted(0.1)), 0..60)
    ) {
        let roomy = || rooms().into_iter().map(|of| Mapping { max_instances: 100, ..of }).collect::<Vec<_>>();
        let mut instances = Instances::new(&roomy());
        let mut seen = BTreeMap::new();
        for (mapping, room, restart) in steps {
            if restart {
                instances.write_all();
                let kept = written(&mut instances);
                instances = Instances::new(&roomy());
                instances.restore(kept);
            }
            let id = instances.find_or_allocate(mapping, 3303, &[&room]).unwrap();
            prop_assert_eq!(*seen.entry(room.clone()).or_insert(id), id);
            prop_assert_eq!(instances.key(3303, id), Some(&vec![room]));
        }
        let ids: BTreeSet<_> = seen.values().collect();
        prop_assert_eq!(ids.len(), seen.len());
    }

    #[test]
    fn whatever_was_on_disk_no_two_instances_share_an_id_or_captures(
        rows in prop::collection::vec((0_u16..4, 0_u16..6, prop::collection::vec("[ab/]{0,2}", 0..3)), 0..20)
    ) {
        let mut instances = Instances::new(&rooms());
        let row = |(object, id, key)| persist::Instance {
            object: 3300 + object, id, key, sources: vec!["rooms/+/t 0".into(); 2], first_seen: None, last_seen: None,
        };
        let shown = instances.restore(rows.into_iter().map(row).collect());
        let keys: Vec<_> = shown.iter().map(|(object, id)| (object, instances.key(*object, *id))).collect();
        prop_assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), shown.len());
        prop_assert!(shown.len() <= 8);
        for room in ["a", "b", "aa", "zz"] {
            let _ = instances.find_or_allocate(0, 3303, &[room]);
        }
    }
}
