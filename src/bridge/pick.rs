//! Several scalars out of one JSON document in a single pass, without building the rest of it.
//!
//! A payload of 256 KiB costs no more memory than the values that are looked for, and nesting is bounded by
//! serde_json's own limit.

use std::borrow::Cow;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::pointer::{Pointer, Scalar, Step};

/// What several pointers look for, as one tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Picker {
    root: Node,
    /// One for each pointer, in their order; then one for each field that decides about an element.
    slots: usize,
    pointers: usize,
}

/// A place in the document that a pointer goes through or ends at.
#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    /// Slots for what stands here.
    here: Vec<usize>,
    /// Slots for what stands here or deeper.
    below: Vec<usize>,
    members: Vec<(String, Node)>,
    finds: Vec<Find>,
}

/// An element of an array by one of its members.
#[derive(Debug, Clone, PartialEq)]
struct Find {
    field: String,
    value: String,
    /// Where the member's value goes.
    test: usize,
    element: Node,
}

impl Picker {
    /// Looks for what these pointers point to.
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let pointers: Vec<_> = pointers.into_iter().collect();
        let mut picker = Self { root: Node::default(), slots: pointers.len(), pointers: pointers.len() };
        for (slot, pointer) in pointers.into_iter().enumerate() {
            picker.root.insert(pointer.steps(), slot, &mut picker.slots);
        }
        picker.root.gather();
        picker
    }

    /// What stands at each pointer, in their order; `None` where there is nothing.
    ///
    /// # Errors
    /// The document is not JSON, in words.
    pub fn pick<'d>(&self, document: &'d [u8]) -> Result<Vec<Option<Scalar<'d>>>, String> {
        let mut slots = vec![None; self.slots];
        let mut json = serde_json::Deserializer::from_slice(document);
        let walk = Walk { nodes: &[&self.root], slots: &mut slots };
        walk.deserialize(&mut json).and_then(|()| json.end()).map_err(|fault| fault.to_string())?;
        slots.truncate(self.pointers);
        Ok(slots)
    }
}

impl Node {
    fn insert(&mut self, steps: &[Step], slot: usize, slots: &mut usize) {
        let Some((step, deeper)) = steps.split_first() else { return self.here.push(slot) };
        match step {
            Step::Token(token) => self.member(token).insert(deeper, slot, slots),
            Step::Find { field, value } => self.find(field, value, slots).insert(deeper, slot, slots),
        }
    }

    fn member(&mut self, token: &str) -> &mut Self {
        let found = self.members.iter().position(|(key, _)| key == token);
        let at = found.unwrap_or_else(|| {
            self.members.push((token.to_owned(), Self::default()));
            self.members.len() - 1
        });
        &mut self.members[at].1
    }

    /// The place of an element that is found by its field.
    fn find(&mut self, field: &str, value: &str, slots: &mut usize) -> &mut Self {
        let same = |find: &Find| (find.field.as_str(), find.value.as_str()) == (field, value);
        let found = self.finds.iter().position(same);
        let at = found.unwrap_or_else(|| {
            let mut element = Self::default();
            element.member(field).here.push(*slots);
            self.finds.push(Find { field: field.to_owned(), value: value.to_owned(), test: *slots, element });
            *slots += 1;
            self.finds.len() - 1
        });
        &mut self.finds[at].element
    }

    /// Fills `below`, here and deeper, once everything is in place.
    fn gather(&mut self) -> &[usize] {
        self.below.clone_from(&self.here);
        for (_, member) in &mut self.members {
            self.below.extend_from_slice(member.gather());
        }
        for find in &mut self.finds {
            self.below.extend_from_slice(find.element.gather());
        }
        &self.below
    }
}

/// Walks down all of `nodes` at once and skips everything beside them.
struct Walk<'a, 'n, 'd> {
    nodes: &'a [&'n Node],
    slots: &'a mut [Option<Scalar<'d>>],
}

impl<'d> Walk<'_, '_, 'd> {
    /// A scalar answers the pointers that end here.
    fn put(&mut self, scalar: Scalar<'d>) {
        for slot in self.nodes.iter().flat_map(|node| &node.here) {
            self.slots[*slot] = Some(scalar.clone());
        }
    }

    /// Forgets what was found at or below this node: in a repeated key, or in an element that is not the one.
    fn clear(&mut self, node: &Node) {
        for slot in &node.below {
            self.slots[*slot] = None;
        }
    }
}

impl<'d> DeserializeSeed<'d> for Walk<'_, '_, 'd> {
    type Value = ();

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'d> Visitor<'d> for Walk<'_, '_, 'd> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(mut self) -> Result<(), E> {
        self.put(Scalar::Null);
        Ok(())
    }

    fn visit_bool<E: de::Error>(mut self, value: bool) -> Result<(), E> {
        self.put(Scalar::Boolean(value));
        Ok(())
    }

    fn visit_i64<E: de::Error>(mut self, value: i64) -> Result<(), E> {
        self.put(Scalar::Integer(value.into()));
        Ok(())
    }

    fn visit_u64<E: de::Error>(mut self, value: u64) -> Result<(), E> {
        self.put(Scalar::Integer(value.into()));
        Ok(())
    }

    fn visit_f64<E: de::Error>(mut self, value: f64) -> Result<(), E> {
        self.put(Scalar::Float(value));
        Ok(())
    }

    fn visit_borrowed_str<E: de::Error>(mut self, value: &'d str) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Owned(value.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'d>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.put(Scalar::Container);
        let members = self.nodes.iter().flat_map(|node| &node.members);
        let wanted: Vec<_> = members.filter_map(|(token, node)| Some((index(token)?, node))).collect();
        let mut sought: Vec<_> = self.nodes.iter().flat_map(|node| &node.finds).collect();
        let mut nodes = vec![];
        for position in 0_usize.. {
            nodes.clear();
            nodes.extend(wanted.iter().filter(|(index, _)| *index == position).map(|(_, node)| *node));
            nodes.extend(sought.iter().map(|find| &find.element));
            let is_there = if nodes.is_empty() {
                items.next_element::<IgnoredAny>()?.is_some()
            } else {
                nodes.iter().for_each(|node| self.clear(node));
                items.next_element_seed(Walk { nodes: &nodes, slots: self.slots })?.is_some()
            };
            if !is_there {
                break;
            }
            sought.retain(|find| {
                let is_it = self.slots[find.test].as_ref().is_some_and(|scalar| find.is_met_by(scalar));
                if !is_it {
                    self.clear(&find.element);
                }
                !is_it
            });
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'d>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.put(Scalar::Container);
        while let Some(nodes) = members.next_key_seed(Members(self.nodes))? {
            if nodes.is_empty() {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            // Of a repeated key the last counts, as in most parsers.
            nodes.iter().for_each(|node| self.clear(node));
            members.next_value_seed(Walk { nodes: &nodes, slots: self.slots })?;
        }
        Ok(())
    }
}

impl Find {
    fn is_met_by(&self, scalar: &Scalar<'_>) -> bool {
        match scalar {
            Scalar::Text(text) => *text == self.value,
            Scalar::Integer(number) => number.to_string() == self.value,
            Scalar::Float(number) => number.to_string() == self.value,
            Scalar::Boolean(truth) => self.value == if *truth { "true" } else { "false" },
            Scalar::Null | Scalar::Container => false,
        }
    }
}

/// RFC 6901 §4: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| plain)
}

/// Reads a key, and gives the places below these nodes that it leads to.
struct Members<'a, 'n>(&'a [&'n Node]);

impl<'d, 'n> DeserializeSeed<'d> for Members<'_, 'n> {
    type Value = Vec<&'n Node>;

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'d, 'n> Visitor<'d> for Members<'_, 'n> {
    type Value = Vec<&'n Node>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        let members = self.0.iter().flat_map(|node| &node.members);
        Ok(members.filter(|(token, _)| token == key).map(|(_, node)| node).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked<'d>(pointers: &[&str], document: &'d str) -> Vec<Option<Scalar<'d>>> {
        let pointers: Vec<_> = pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
        Picker::new(&pointers).pick(document.as_bytes()).unwrap()
    }

    #[test]
    fn one_pass_gives_what_each_pointer_alone_would() {
        let document =
            r#"{"r":[{"ch":"a","v":1},{"v":2,"ch":"b"}],"r2":[[{"id":1,"x":[{"k":"q","w":5}]}]],"t":"é\n"}"#;
        let pointers = [
            "r[ch=b].v",
            "r[0].v",
            "r[ch=a].v",
            "/r/1/ch",
            "r2[0][id=1].x[k=q].w",
            "t",
            "t",
            "",
            "x",
            "r[ch=a].ch",
        ];
        let alone: Vec<_> = pointers.iter().map(|pointer| picked(&[pointer], document).remove(0)).collect();
        assert_eq!(picked(&pointers, document), alone);
        let integer = |number| Some(Scalar::Integer(number));
        assert_eq!(alone[..3], [integer(2), integer(1), integer(1)]);
        assert_eq!(alone[4], integer(5));
        assert_eq!(
            alone[5],
            Some(Scalar::Text("é\n".into())).map(|_| Scalar::Text(
                "é
"
                .into()
            ))
        );
    }

    #[test]
    fn nothing_of_an_element_that_is_not_the_one_stays() {
        assert_eq!(
            picked(&["r[ch=b].v", "r[ch=b].w"], r#"{"r":[{"v":1,"w":1},{"ch":"b","v":2}]}"#),
            [Some(Scalar::Integer(2)), None]
        );
        assert_eq!(picked(&["r[ch=b].v"], r#"{"r":[{"ch":"b","v":2}],"r":[{"ch":"c","v":2}]}"#), [None]);
    }

    #[test]
    fn texts_are_borrowed_where_nothing_is_escaped() {
        let found = picked(&["a", "b"], r#"{"a":"plain","b":"tab\t"}"#);
        assert!(matches!(&found[0], Some(Scalar::Text(Cow::Borrowed("plain")))));
        assert!(matches!(&found[1], Some(Scalar::Text(Cow::Owned(text))) if text == "tab	"));
    }
}
