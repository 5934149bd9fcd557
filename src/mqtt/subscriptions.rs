//! What to subscribe to, in packets of a size that brokers take, and the search for a filter that brings a message too
//! large to take.
//!
//! Such a message ends the connection, and rumqttc does not say where it came from. So the filters under suspicion are
//! parted into groups: each is subscribed on its own and given time to bring its retained messages, and one that brings
//! trouble is halved for the next connection. The one filter that is left is put aside; it is tried again after the next
//! outage, or when the time for it has come.

use std::collections::{BTreeSet, VecDeque};

/// Most filters in one SUBSCRIBE.
const MAX_FILTERS: usize = 512;
/// A SUBSCRIBE takes no further filter beyond this.
const MAX_OCTETS: usize = 32 * 1024;

/// The filters, and how far their subscription has come on this connection.
#[derive(Debug, Default)]
pub struct Subscriptions {
    wanted: Vec<String>,
    /// Groups of which each may have brought a message too large to take.
    suspects: VecDeque<Vec<String>>,
    /// These did, and are left out.
    aside: BTreeSet<String>,
    /// Still to be asked for; those of suspects last, and in their order.
    packets: VecDeque<Packet>,
    /// The filters of the last packet that left.
    asked: Vec<String>,
    state: State,
}

#[derive(Debug)]
struct Packet {
    filters: Vec<String>,
    /// Of the first group of suspects, when its turn comes.
    is_suspect: bool,
    /// Time must pass after it.
    settles: bool,
}

/// The last packet that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// There was none, or it is done with: the next may leave.
    #[default]
    Free,
    /// The broker has not answered it.
    Asked { is_suspect: bool, settles: bool },
    /// Granted, and watched for what it brings.
    Settling { is_suspect: bool },
}

/// Where a message too large to take came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// From this filter, which is left out from now on.
    Found(String),
    /// From one of so many.
    Narrowed(usize),
    /// From any of so many.
    Unknown(usize),
}

impl Subscriptions {
    /// What is wanted, whatever has come of it.
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// Other filters from now on; ask for them with [`Subscriptions::begin`].
    pub fn replace(&mut self, filters: Vec<String>) {
        let staying: BTreeSet<&String> = filters.iter().collect();
        for group in &mut self.suspects {
            group.retain(|filter| staying.contains(filter));
        }
        self.suspects.retain(|group| !group.is_empty());
        self.aside.retain(|filter| staying.contains(filter));
        self.wanted = filters;
    }

    /// Asks for all from the start, on a new connection or because there are others.
    pub fn begin(&mut self) {
        self.packets.clear();
        self.state = State::Free;
        let suspects: BTreeSet<&String> = self.suspects.iter().flatten().chain(&self.aside).collect();
        let trusted: Vec<_> =
            self.wanted.iter().filter(|filter| !suspects.contains(filter)).cloned().collect();
        // What a trusted filter brings must not be laid to a suspect that follows.
        self.packets.extend(packets(&trusted, false, !self.suspects.is_empty()));
        for group in &self.suspects {
            self.packets.extend(packets(group, true, true));
        }
    }

    /// The next SUBSCRIBE, if one may leave; say [`Subscriptions::asked`] once it does.
    pub fn next(&self) -> Option<&[String]> {
        let packet = self.packets.front().filter(|_| self.state == State::Free)?;
        Some(&packet.filters)
    }

    /// That SUBSCRIBE is on its way.
    pub fn asked(&mut self) {
        let Some(Packet { filters, is_suspect, settles }) = self.packets.pop_front() else { return };
        self.state = State::Asked { is_suspect, settles };
        self.asked = filters;
    }

    /// The broker answered it: the filters that it refuses. If [`Subscriptions::is_settling`] then, time must pass before
    /// [`Subscriptions::settled`].
    pub fn granted(&mut self, granted: &[bool]) -> Vec<String> {
        let State::Asked { is_suspect, settles } = self.state else { return vec![] };
        self.state = if settles { State::Settling { is_suspect } } else { State::Free };
        let answers = std::mem::take(&mut self.asked).into_iter().zip(granted);
        answers.filter(|(_, granted)| !**granted).map(|(filter, _)| filter).collect()
    }

    /// What the last packet brings has yet to be seen.
    pub fn is_settling(&self) -> bool {
        matches!(self.state, State::Settling { .. })
    }

    /// Nothing bad came in that time.
    pub fn settled(&mut self) {
        if let State::Settling { is_suspect } = self.state {
            self.state = State::Free;
            if is_suspect {
                self.suspects.pop_front();
            }
        }
    }

    /// A message too large to take came.
    pub fn blame(&mut self) -> Blame {
        let is_suspect = match self.state {
            State::Asked { is_suspect, .. } | State::Settling { is_suspect } => is_suspect,
            // Between the packets of one suspected group, or after all.
            State::Free => self.packets.front().is_some_and(|packet| packet.is_suspect),
        };
        let group = if is_suspect { self.suspects.pop_front() } else { None };
        match group {
            Some(mut group) if group.len() > 1 => {
                let count = group.len();
                let second = group.split_off(count / 2);
                self.suspects.push_front(second);
                self.suspects.push_front(group);
                Blame::Narrowed(count)
            }
            Some(group) => {
                let found = group.concat();
                self.aside.insert(found.clone());
                Blame::Found(found)
            }
            None => {
                let mut first: Vec<_> =
                    self.wanted.iter().filter(|filter| !self.aside.contains(*filter)).cloned().collect();
                let count = first.len();
                let second = first.split_off(count / 2);
                self.suspects = [first, second].into_iter().filter(|group| !group.is_empty()).collect();
                Blame::Unknown(count)
            }
        }
    }

    /// The connection was lost for another reason: those that were left out get another chance on the next.
    pub fn forgive(&mut self) {
        self.suspects.extend(std::mem::take(&mut self.aside).into_iter().map(|filter| vec![filter]));
    }

    /// Some filter is left out.
    pub fn is_incomplete(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Gives those that were left out another chance on this connection.
    pub fn retry(&mut self) {
        let known = self.suspects.len();
        self.forgive();
        for group in self.suspects.iter().skip(known) {
            self.packets.extend(packets(group, true, true));
        }
    }
}

/// One group of filters as packets; whether time must pass after the last.
fn packets(filters: &[String], is_suspect: bool, settles: bool) -> impl Iterator<Item = Packet> + use<> {
    let mut packets: Vec<Vec<String>> = vec![];
    let mut octets = 0;
    for filter in filters {
        octets += filter.len();
        match packets.last_mut() {
            Some(packet) if packet.len() < MAX_FILTERS && octets <= MAX_OCTETS => packet.push(filter.clone()),
            _ => {
                octets = filter.len();
                packets.push(vec![filter.clone()]);
            }
        }
    }
    let last = packets.len();
    packets.into_iter().zip(1..).map(move |(filters, number)| Packet {
        filters,
        is_suspect,
        settles: settles && number == last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("site/{number:05}/value")).collect()
    }

    fn wanting(filters: Vec<String>) -> Subscriptions {
        let mut subscriptions = Subscriptions::default();
        subscriptions.replace(filters);
        subscriptions
    }

    /// Plays a connection to a broker that has a message too large for each filter of `bad`: whose fault it was.
    fn connect(subscriptions: &mut Subscriptions, bad: &[&str]) -> Result<BTreeSet<String>, Blame> {
        subscriptions.begin();
        let mut subscribed = BTreeSet::new();
        while let Some(packet) = subscriptions.next() {
            let packet = packet.to_vec();
            assert!(packet.len() <= MAX_FILTERS && packet.concat().len() <= MAX_OCTETS);
            subscriptions.asked();
            assert_eq!(subscriptions.next(), None, "one at a time");
            if packet.iter().any(|filter| bad.contains(&filter.as_str())) {
                return Err(subscriptions.blame());
            }
            subscriptions.granted(&vec![true; packet.len()]);
            subscribed.extend(packet);
            subscriptions.settled();
        }
        Ok(subscribed)
    }

    #[test]
    fn ten_thousand_filters_leave_in_packets_that_a_broker_takes() {
        let all = names(10_000);
        let subscribed = connect(&mut wanting(all.clone()), &[]).unwrap();
        assert_eq!(subscribed.into_iter().collect::<Vec<_>>(), all);
        let long: Vec<_> = (0..100).map(|number| format!("{number}/{}", "x".repeat(1000))).collect();
        assert_eq!(connect(&mut wanting(long), &[]).unwrap().len(), 100);
    }

    #[test]
    fn two_bad_filters_of_thousands_are_found_in_a_few_steps_and_the_others_stay() {
        let mut subscriptions = wanting(names(5_000));
        let bad = ["site/00017/value", "site/04999/value"];
        let mut found = vec![];
        let mut steps = 0;
        let subscribed = loop {
            steps += 1;
            match connect(&mut subscriptions, &bad) {
                Ok(subscribed) => break subscribed,
                Err(Blame::Found(filter)) => found.push(filter),
                Err(_) => {}
            }
            assert!(steps < 60, "{found:?}");
        };
        found.sort();
        assert_eq!(found, bad);
        assert_eq!(subscribed.len(), 4_998);
        assert!(subscriptions.is_incomplete());
    }

    #[test]
    fn what_was_left_out_gets_another_chance_alone() {
        let mut subscriptions = wanting(names(3));
        let bad = "site/00001/value";
        while connect(&mut subscriptions, &[bad]).is_err() {}
        subscriptions.retry();
        assert_eq!(subscriptions.next(), Some(&[bad.to_owned()][..]));
        subscriptions.asked();
        assert_eq!(subscriptions.blame(), Blame::Found(bad.to_owned()));
        subscriptions.forgive();
        assert_eq!(connect(&mut subscriptions, &[]).unwrap().len(), 3);
        assert!(!subscriptions.is_incomplete());
    }

    #[test]
    fn refusals_are_told_by_their_filters() {
        let mut subscriptions = wanting(names(2));
        subscriptions.begin();
        subscriptions.asked();
        assert_eq!(subscriptions.granted(&[true, false]), ["site/00001/value"]);
    }
}
