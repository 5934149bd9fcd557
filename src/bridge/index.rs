//! Which mappings a topic is for: a tree of topic levels, so that the cost does not depend on how many mappings there are.
//!
//! It knows filters by their number in the configuration and nothing of what they feed.

use super::topic::{Filter, Level};

/// The root of the tree.
const ROOT: u32 = 0;
/// Size of the first table of edges; a power of two.
const FIRST_EDGES: usize = 16;

/// Filters by their levels. It grows with [`Index::insert`] only, so what is published cannot make it larger.
#[derive(Debug, Clone)]
pub struct Index {
    nodes: Vec<Node>,
    edges: Edges,
}

/// What is known behind some levels.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Behind a first level with `$`: topics of the broker's own, which a leading wildcard does not catch (§4.7.2).
    is_brokers: bool,
    /// Behind each plain level that a filter has here.
    children: Vec<u32>,
    /// Behind `+` or a capture.
    any: Option<u32>,
    /// Filters that end here.
    ends: Vec<u32>,
    /// Filters that go on with `#`.
    rest: Vec<u32>,
}

/// Plain levels, from node to node: a hash table with open addressing, at most half full.
///
/// A function of its own hashes, always the same, because the order of the standard one is chance.
#[derive(Debug, Clone)]
struct Edges {
    slots: Vec<Option<Edge>>,
    used: usize,
}

#[derive(Debug, Clone)]
struct Edge {
    from: u32,
    level: Box<str>,
    to: u32,
}

impl Default for Index {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], edges: Edges { slots: vec![None; FIRST_EDGES], used: 0 } }
    }
}

impl Index {
    /// Adds the filter under this number.
    pub fn insert(&mut self, filter: &Filter, number: u32) {
        let mut at = ROOT;
        for level in filter.levels() {
            at = match level {
                Level::AnyRest => {
                    self.node_mut(at).rest.push(number);
                    return;
                }
                Level::Plain(text) => self.plain_child(at, text),
                Level::Capture(_) | Level::AnyOne => self.any_child(at),
            };
        }
        self.node_mut(at).ends.push(number);
    }

    /// The numbers of all filters that match the topic, ascending, in place of what `found` held (MQTT 3.1.1 §4.7).
    pub fn find(&self, topic: &str, found: &mut Vec<u32>) {
        found.clear();
        self.descend(ROOT, Some(topic), found);
        found.sort_unstable();
    }

    /// Takes what matches `left`, the levels below the node; `None` when the topic ends at the node.
    ///
    /// It calls itself once for each level, so as deep as the longest filter goes.
    fn descend(&self, at: u32, left: Option<&str>, found: &mut Vec<u32>) {
        let Some(node) = self.node(at) else { return };
        // A leading wildcard does not catch the broker's own topics (§4.7.2).
        let is_wild = at != ROOT || !left.is_some_and(is_brokers);
        if is_wild {
            // `a/#` also matches `a` (§4.7.1.2).
            found.extend(&node.rest);
        }
        let Some(left) = left else {
            found.extend(&node.ends);
            return;
        };
        let (level, below) = match left.split_once('/') {
            Some((level, below)) => (level, Some(below)),
            None => (left, None),
        };
        if let Some(child) = self.edges.find(at, level) {
            self.descend(child, below, found);
        }
        if let Some(any) = node.any.filter(|_| is_wild) {
            self.descend(any, below, found);
        }
    }

    /// The numbers of all filters that match some topic which this one matches too, ascending.
    pub fn overlapping(&self, filter: &Filter) -> Vec<u32> {
        let mut found = vec![];
        self.descend_along(ROOT, filter.levels(), &mut found);
        found.sort_unstable();
        found
    }

    fn descend_along(&self, at: u32, levels: &[Level], found: &mut Vec<u32>) {
        let Some(node) = self.node(at) else { return };
        let Some((level, below)) = levels.split_first() else {
            found.extend(node.ends.iter().chain(&node.rest));
            return;
        };
        if *level == Level::AnyRest {
            return self.collect(at, found);
        }
        let is_brokers = at == ROOT && matches!(level, Level::Plain(text) if is_brokers(text));
        if !is_brokers {
            found.extend(&node.rest);
            node.any.into_iter().for_each(|any| self.descend_along(any, below, found));
        }
        match level {
            Level::Plain(text) => {
                self.edges
                    .find(at, text)
                    .into_iter()
                    .for_each(|child| self.descend_along(child, below, found));
            }
            _ => self.wildly_reached(node).for_each(|child| self.descend_along(child, below, found)),
        }
    }

    /// Everything from this node on.
    fn collect(&self, at: u32, found: &mut Vec<u32>) {
        let Some(node) = self.node(at) else { return };
        found.extend(node.ends.iter().chain(&node.rest));
        self.wildly_reached(node).chain(node.any).for_each(|child| self.collect(child, found));
    }

    /// The nodes behind plain levels that a wildcard catches.
    fn wildly_reached(&self, node: &Node) -> impl Iterator<Item = u32> {
        node.children.iter().copied().filter(|child| self.node(*child).is_some_and(|child| !child.is_brokers))
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        self.nodes.get_mut(at as usize).expect("nodes are never taken away")
    }

    fn plain_child(&mut self, at: u32, level: &str) -> u32 {
        if let Some(child) = self.edges.find(at, level) {
            return child;
        }
        let child = self.add(Node { is_brokers: at == ROOT && is_brokers(level), ..Node::default() });
        self.edges.insert(Edge { from: at, level: level.into(), to: child });
        self.node_mut(at).children.push(child);
        child
    }

    fn any_child(&mut self, at: u32) -> u32 {
        if let Some(child) = self.node_mut(at).any {
            return child;
        }
        let child = self.add(Node::default());
        self.node_mut(at).any = Some(child);
        child
    }

    fn add(&mut self, node: Node) -> u32 {
        let number = u32::try_from(self.nodes.len())
            .expect("a configuration of 4 thousand million levels fits in no memory");
        self.nodes.push(node);
        number
    }
}

impl Edges {
    fn find(&self, from: u32, level: &str) -> Option<u32> {
        let start = hash(from, level);
        let slots = (0..self.slots.len()).map_while(|step| self.slots.get(self.place(start, step))?.as_ref());
        slots.into_iter().find(|edge| edge.from == from && *edge.level == *level).map(|edge| edge.to)
    }

    fn insert(&mut self, edge: Edge) {
        if (self.used + 1) * 2 > self.slots.len() {
            let larger = vec![None; self.slots.len() * 2];
            let old = std::mem::replace(&mut self.slots, larger);
            old.into_iter().flatten().for_each(|edge| self.put(edge));
        }
        self.used += 1;
        self.put(edge);
    }

    fn put(&mut self, edge: Edge) {
        let start = hash(edge.from, &edge.level);
        let free = (0..self.slots.len())
            .map(|step| self.place(start, step))
            .find(|place| self.slots.get(*place).is_some_and(Option::is_none));
        if let Some(slot) = free.and_then(|place| self.slots.get_mut(place)) {
            *slot = Some(edge);
        }
    }

    /// The slot to try as number `step`; the table's size is a power of two.
    fn place(&self, start: u64, step: usize) -> usize {
        (start as usize).wrapping_add(step) & (self.slots.len() - 1)
    }
}

/// FNV-1a over node and level, with its upper half folded in, since only the lowest bits choose the slot.
fn hash(from: u32, level: &str) -> u64 {
    let octets = from.to_le_bytes().into_iter().chain(level.bytes());
    let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

/// A first level of the broker's own topics.
fn is_brokers(level: &str) -> bool {
    level.starts_with('$')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    fn index(filters: &[&str]) -> Index {
        let mut index = Index::default();
        filters.iter().zip(0..).for_each(|(text, number)| index.insert(&filter(text), number));
        index
    }

    fn found(filters: &[&str], topic: &str) -> Vec<u32> {
        let mut found = vec![];
        index(filters).find(topic, &mut found);
        found
    }

    fn is_match(filter: &str, topic: &str) -> bool {
        found(&[filter], topic) == [0]
    }

    fn overlap(one: &str, other: &str) -> bool {
        let forth = index(&[one]).overlapping(&filter(other)) == [0];
        let back = index(&[other]).overlapping(&filter(one)) == [0];
        assert_eq!(forth, back, "{one} and {other}");
        forth
    }

    #[test]
    fn all_filters_that_match_are_found_in_the_configurations_order() {
        let filters = ["a/#", "a/b", "+/b", "a/{x}", "{x}/c", "a/b", "a/b/#", "b/+"];
        assert_eq!(found(&filters, "a/b"), [0, 1, 2, 3, 5, 6]);
        assert_eq!(found(&filters, "a/c"), [0, 3, 4]);
        assert_eq!(found(&filters, "a"), [0]);
        assert_eq!(found(&filters, "a/b/c"), [0, 6]);
        assert!(found(&filters, "c/d").is_empty());
    }

    #[test]
    fn levels_match_whole_and_empty_levels_count() {
        assert!(is_match("site/{site}/+/{room}/#", "site/a/b/c/d/e"));
        assert!(is_match("site/{site}/+/{room}/#", "site/a/b/c"));
        assert!(!is_match("site/{site}/+/{room}/#", "site/a/b"));
        assert!(is_match("a/+", "a/"));
        assert!(!is_match("a/+", "a"));
        assert!(is_match("+/a", "/a"));
        assert!(!is_match("a/b", "a/b/c"));
        assert!(!is_match("a/b", "a/B"));
    }

    #[test]
    fn broker_topics_are_not_caught_by_a_leading_wildcard() {
        assert!(!is_match("{x}/uptime", "$SYS/uptime"));
        assert!(!is_match("+/uptime/#", "$SYS/uptime"));
        assert!(is_match("$SYS/{what}", "$SYS/uptime"));
        assert!(is_match("a/+", "a/$b"));
    }

    #[test]
    fn filters_overlap_when_one_topic_can_match_both() {
        for (one, other) in [
            ("a/b", "a/b"),
            ("a/{x}", "a/b"),
            ("a/+/c", "{x}/b/c"),
            ("a/#", "a"),
            ("a/#", "+/b/c"),
            ("a/#", "a/b/#"),
            ("+/b/#", "a/+"),
        ] {
            assert!(overlap(one, other), "{one} and {other}");
        }
        for (one, other) in [
            ("a/b", "a/c"),
            ("a/+", "a/b/c"),
            ("a/+", "b/#"),
            ("a/+", "a"),
            ("+/uptime", "$SYS/uptime"),
            ("$SYS/#", "+/uptime"),
            ("+/uptime/#", "$SYS/uptime/x"),
        ] {
            assert!(!overlap(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn ten_thousand_filters_are_each_found_alone() {
        let filters: Vec<_> = (0..10_000).map(|n| format!("sensors/{n}/temperature")).collect();
        let index = index(&filters.iter().map(String::as_str).collect::<Vec<_>>());
        let mut found = vec![];
        for (topic, number) in filters.iter().zip(0..) {
            index.find(topic, &mut found);
            assert_eq!(found, [number]);
        }
        index.find("sensors/10000/temperature", &mut found);
        assert!(found.is_empty());
    }

    /// Whether the filter matches, level by level and without a tree.
    fn matches_plainly(filter: &Filter, topic: &str) -> bool {
        let starts_wild = !matches!(filter.levels().first(), Some(Level::Plain(_)));
        if starts_wild && topic.starts_with('$') {
            return false;
        }
        let mut levels = topic.split('/');
        for level in filter.levels() {
            match (level, levels.next()) {
                (Level::AnyRest, _) => return true,
                (Level::Plain(text), Some(level)) if text == level => {}
                (Level::Capture(_) | Level::AnyOne, Some(_)) => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    const FILTERS: &str = "(a|b|\\$s|\\+|)(/(a|b|\\+|)){0,3}(/#)?";
    const TOPICS: &str = "(a|b|\\$s|)(/(a|b|)){0,4}";

    proptest! {
        #[test]
        fn the_tree_finds_what_a_comparison_one_by_one_finds(
            filters in prop::collection::vec(FILTERS, 0..12), topic in TOPICS,
        ) {
            let filters: Vec<_> = filters.iter().filter_map(|text| Filter::parse(text).ok()).collect();
            let mut index = Index::default();
            filters.iter().zip(0..).for_each(|(filter, number)| index.insert(filter, number));
            let mut found = vec![];
            index.find(&topic, &mut found);
            let one_by_one: Vec<u32> =
                filters.iter().zip(0..).filter(|(filter, _)| matches_plainly(filter, &topic)).map(|(_, n)| n).collect();
            prop_assert_eq!(found, one_by_one);
        }

        #[test]
        fn filters_that_match_one_topic_overlap(one in FILTERS, other in FILTERS, topic in TOPICS) {
            let (Ok(a), Ok(b)) = (Filter::parse(&one), Filter::parse(&other)) else { return Ok(()) };
            if matches_plainly(&a, &topic) && matches_plainly(&b, &topic) {
                prop_assert!(overlap(&one, &other));
            }
            prop_assert!(overlap(&one, &one));
        }

        #[test]
        fn no_topic_makes_it_panic(filter in any::<String>(), topic in any::<String>()) {
            if let Ok(filter) = Filter::parse(&filter) {
                let mut index = Index::default();
                index.insert(&filter, 0);
                index.find(&topic, &mut vec![]);
            }
        }
    }
}
