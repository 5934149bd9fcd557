//! Checks `[[mappings]]` against themselves and the registry, and tells everything that is wrong at once.

mod values;

use crate::lwm2m::held::is_plain;
use crate::lwm2m::model::{Model, ObjectDef, ResourceDef};

use super::command::{Command, Payload, Target, VALUE, is_of_execute};
use super::downlink::CONFIRM_WITHIN;
use super::instances::{DEFAULT_PER_MAPPING, MAX_PER_MAPPING};
use super::mapping::{
    CommandSettings, Fault, Feed, InstanceSettings, Mapping, Mappings, ReplySettings, ResourceSettings,
    Selector, Settings,
};
use super::overlap;
use super::pick::Picker;
use super::pointer::Pointer;
use super::reply::{LONGEST_WAIT, Reply, SHORTEST_WAIT};
use super::rules::{Rules, is_feedable};
use super::topic::{Filter, Template, is_name, is_topic};
use values::Place;

const DAY_SECS: u64 = 86_400;

/// Most names that a hint lists.
const HINTS: usize = 6;

/// Checks the mappings against themselves and the registry.
///
/// # Errors
/// All faults, in the order of the configuration.
pub fn compile(settings: &[Settings], model: &Model) -> Result<Mappings, Vec<Fault>> {
    let mut compiler = Compiler { model, faults: vec![], compiled: Mappings::default() };
    for (index, settings) in settings.iter().enumerate() {
        compiler.mapping(index, settings);
    }
    compiler.faults.extend(overlap::faults(&compiler.compiled.mappings));
    if compiler.faults.is_empty() { Ok(compiler.compiled) } else { Err(compiler.faults) }
}

struct Compiler<'a> {
    model: &'a Model,
    faults: Vec<Fault>,
    compiled: Mappings,
}

/// A mapping's instance, and the names of the captures that it stands for.
struct Instance {
    selector: Selector,
    target: Target,
}

impl Compiler<'_> {
    fn fault(&mut self, key: String, problem: impl Into<String>, fix: impl Into<String>) {
        self.faults.push(Fault { key, problem: problem.into(), fix: fix.into() });
    }

    /// The good value, or a fault.
    fn sound<T, E: ToString>(&mut self, key: &str, result: Result<T, E>, fix: &str) -> Option<T> {
        result.map_err(|error| self.fault(key.to_owned(), error.to_string(), fix)).ok()
    }

    fn mapping(&mut self, number: usize, settings: &Settings) {
        let at = &format!("mappings[{number}]");
        let fix = "write a topic filter such as \"sensors/{room}/temperature\"";
        let parsed = settings.topic.as_deref().map(Filter::parse).transpose();
        let filter = self.sound(&format!("{at}.topic"), parsed, fix);
        let object = self.object(at, settings.object);
        // Of a bad topic nobody knows the captures.
        let instance =
            filter.as_ref().and_then(|filter| self.instance(at, settings, filter.as_ref(), object));
        let (max_instances, forget_after) = self.bounds(at, settings);
        let resources = self.resources(at, settings);
        let Some(object) = object else { return };
        let topic = settings.topic.as_deref();
        let mut feeds = vec![];
        for (at, resource) in resources {
            feeds.extend(self.resource(&at, &resource, object, topic, instance.as_ref()));
        }
        let (Some(filter), Some(instance)) = (filter, instance) else { return };
        let filter = filter.filter(|_| !feeds.is_empty());
        self.compiled.mappings.push(Mapping {
            number,
            retained: settings.retained,
            filter,
            object: object.id,
            instance: instance.selector,
            picker: Picker::new(feeds.iter().filter_map(|feed| feed.value.as_ref())),
            max_instances,
            forget_after,
            feeds,
        });
    }

    fn object(&mut self, at: &str, id: u16) -> Option<&'static ObjectDef> {
        let found = self.model.object(id).filter(|_| is_plain(id));
        if found.is_none() {
            let problem = if is_plain(id) { "is not in the registry" } else { "is for the gateway itself" };
            let problem = format!("object {id} {problem}");
            self.fault(
                format!("{at}.object"),
                problem,
                "take an object for sensors, such as 3303 Temperature",
            );
        }
        found
    }

    fn instance(
        &mut self,
        at: &str,
        settings: &Settings,
        filter: Option<&Filter>,
        object: Option<&ObjectDef>,
    ) -> Option<Instance> {
        let key = format!("{at}.instance");
        let captures: Vec<&str> = filter.iter().flat_map(|filter| filter.captures()).collect();
        let example =
            captures.first().map_or("instance = 0".to_owned(), |name| format!("instance = \"{{{name}}}\""));
        let single = object.filter(|object| !object.multiple);
        match &settings.instance {
            None if filter.is_none_or(Filter::is_plain) || single.is_some() => Some(Instance::fixed(0)),
            None => {
                let problem = "several topics can match, and nothing says which instance each one is";
                self.fault(key, problem, format!("write {example}"));
                None
            }
            Some(InstanceSettings::Number(number)) => {
                let id = u16::try_from(*number).ok().filter(|id| *id != u16::MAX);
                match (id, single) {
                    (Some(id), None) | (Some(id @ 0), Some(_)) => Some(Instance::fixed(id)),
                    (Some(id), Some(object)) => {
                        let problem = format!("{} has no instance {id}, only 0", named_object(object));
                        self.fault(key, problem, "write instance = 0");
                        None
                    }
                    (None, _) => {
                        let problem = format!("{number} is no Object Instance ID");
                        self.fault(key, problem, "write a number from 0 to 65534");
                        None
                    }
                }
            }
            Some(InstanceSettings::Captures(text)) => {
                if let Some(object) = single {
                    let problem = format!("{} has only instance 0", named_object(object));
                    self.fault(key, problem, "write instance = 0");
                    return None;
                }
                let Some(names) = capture_names(text) else {
                    let problem = format!("{text:?} does not consist of captures");
                    self.fault(key, problem, format!("write a number, or {example}"));
                    return None;
                };
                let level_of = |name: &String| {
                    let at = captures.iter().position(|capture| capture == name)?;
                    filter?.capture_levels().nth(at)
                };
                let unknown = names.iter().find(|name| filter.is_some() && level_of(name).is_none());
                if let Some(name) = unknown {
                    let fix = format!("name a capture of the topic: {}", listed(&captures));
                    self.fault(key, format!("the topic has no capture {{{name}}}"), fix);
                    return None;
                }
                let selector = Selector::Captured(names.iter().filter_map(level_of).collect());
                Some(Instance { selector, target: Target::Captured(names) })
            }
        }
    }

    /// How many instances there may be, and after how many days one is forgotten.
    fn bounds(&mut self, at: &str, settings: &Settings) -> (usize, Option<u32>) {
        let max = settings.max_instances.unwrap_or(DEFAULT_PER_MAPPING);
        if !(1..=MAX_PER_MAPPING).contains(&max) {
            let fix = format!("write a number from 1 to {MAX_PER_MAPPING}");
            self.fault(format!("{at}.max_instances"), format!("{max} is out of bounds"), fix);
        }
        let days = settings.forget_after.map(|after| u32::try_from(after.as_secs() / DAY_SECS));
        if matches!(days, Some(Ok(0))) {
            let problem = "days are counted, and this is less than one";
            self.fault(format!("{at}.forget_after"), problem, "write whole days, such as \"30days\"");
        }
        let of_captures = matches!(settings.instance, Some(InstanceSettings::Captures(_)));
        let given = [("max_instances", settings.max_instances.is_some()), ("forget_after", days.is_some())];
        for (key, _) in given.iter().filter(|(_, given)| *given && !of_captures) {
            let problem = format!("there is one instance, so {key} says nothing");
            self.fault(
                format!("{at}.{key}"),
                problem,
                format!("remove {key}, or let captures name the instance"),
            );
        }
        // So long that nobody lives to see it is never.
        (max, days.and_then(Result::ok))
    }

    /// Every resource of the mapping with its place: the one of the short form, or those of the list.
    fn resources(&mut self, at: &str, settings: &Settings) -> Vec<(String, ResourceSettings)> {
        let Some(short) = settings.short() else {
            if settings.resources.is_empty() {
                let fix =
                    "write resource = <number>, or resources = [{ resource = <number>, value = \"/…\" }]";
                self.fault(format!("{at}.resource"), "no resource is named", fix);
                return vec![];
            }
            for key in settings.value_keys() {
                let problem = format!("{key} beside resources belongs to none of them");
                let fix = format!("move {key} into the entries of resources");
                self.fault(format!("{at}.{key}"), problem, fix);
            }
            let entry = |(index, entry): (usize, &ResourceSettings)| {
                (format!("{at}.resources[{index}]"), entry.clone())
            };
            return settings.resources.iter().enumerate().map(entry).collect();
        };
        if !settings.resources.is_empty() {
            let fix = "keep resources, and move what resource says into an entry of it";
            self.fault(format!("{at}.resources"), "there are both resource and resources", fix);
        }
        vec![(at.to_owned(), short)]
    }

    /// Checks one resource, keeps its command, and gives what it is fed by.
    fn resource(
        &mut self,
        at: &str,
        settings: &ResourceSettings,
        object: &'static ObjectDef,
        topic: Option<&str>,
        instance: Option<&Instance>,
    ) -> Option<Feed> {
        let key = format!("{at}.resource");
        let Some(resource) = object.resource(settings.resource) else {
            let problem = format!("{} has no resource {}", named_object(object), settings.resource);
            let known = some_resources(object, |resource| resource.operations.is_readable());
            self.fault(key, problem, format!("take one of its resources: {known}"));
            return None;
        };
        let name = format!("{} {}", resource.id, resource.name);
        if resource.multiple {
            let fix = "take a resource that holds a single value";
            self.fault(key, format!("{name} holds several values, which a message cannot tell apart"), fix);
            return None;
        }
        let executable = resource.operations.is_executable();
        if !executable && !is_feedable(resource.value_type) {
            let problem =
                format!("{name} is of type {:?}, which has no form in a message", resource.value_type);
            self.fault(key, problem, "take a resource that is text, a number, a boolean or a time");
            return None;
        }
        let fed = topic.is_some() && resource.operations.is_readable();
        let place = Place { at, object, resource, fed };
        let rules = self.rules(place, settings);
        match &settings.command {
            Some(command) => self.command(place, command, &rules, instance),
            None if !fed => {
                let problem = match resource.operations.is_readable() {
                    true => format!("{name} has neither a topic nor a command"),
                    false => format!("{name} cannot be read, so no message can feed it"),
                };
                self.fault(key.clone(), problem, "add a command, or take a resource that can be read");
            }
            None => {}
        }
        let value = match &settings.value {
            Some(text) => {
                let key = format!("{at}.value");
                if !resource.operations.is_readable() {
                    self.fault(key, format!("{name} cannot be read, so it takes no value"), "remove value");
                    return None;
                }
                if topic.is_none() {
                    self.fault(key, "there is no topic to take a value from", "add topic, or remove value");
                    return None;
                }
                Some(self.sound(
                    &key,
                    Pointer::parse(text),
                    "write a pointer such as \"/t\" or \"readings[ch=flow].val\"",
                )?)
            }
            None => None,
        };
        self.doubt(place, settings, value.as_ref(), topic);
        fed.then_some(Feed { resource, value, rules })
    }

    fn command(
        &mut self,
        place: Place<'_>,
        command: &CommandSettings,
        rules: &Rules,
        instance: Option<&Instance>,
    ) {
        let Place { object, resource, .. } = place;
        let at = format!("{}.command", place.at);
        let operations = resource.operations;
        if !operations.is_writable() && !operations.is_executable() {
            let problem = format!("{} {} is read-only: no server can write it", resource.id, resource.name);
            let fix = format!(
                "remove command, or take one of {}",
                some_resources(object, |resource| resource.operations.is_writable())
            );
            self.fault(at, problem, fix);
            return;
        }
        let (topic, payload) = (Template::parse(&command.topic), Payload::parse(&command.payload));
        let sample = topic.fill(|_| "x".to_owned());
        if !is_topic(&sample) || sample.contains(['{', '}']) {
            let problem = format!("{:?} is no topic to publish to", command.topic);
            self.fault(
                format!("{at}.topic"),
                problem,
                "write a topic without `+` and `#`, with captures as {name}",
            );
        }
        let Some(instance) = instance else { return };
        let known: &[String] = match &instance.target {
            Target::Captured(names) => names,
            Target::Fixed(_) => &[],
        };
        let stray = |name: &&str| !known.iter().any(|known| known == name);
        for name in topic.placeholders().filter(stray) {
            let problem =
                format!("{{{name}}} is not among what instance stands for, so a Write does not tell it");
            self.fault(
                format!("{at}.topic"),
                problem,
                format!("add {{{name}}} to instance, or write it out"),
            );
        }
        let is_filled = |name: &&str| *name == VALUE || (operations.is_executable() && is_of_execute(name));
        for name in payload.placeholders().filter(|name| !is_filled(name)).filter(stray) {
            let (problem, fix) = if is_of_execute(name) {
                (
                    format!("{{{name}}} is for what is executed, and this is written"),
                    "write {value}".to_owned(),
                )
            } else {
                let problem = format!("{{{name}}} is neither {{value}} nor among what instance stands for");
                (problem, format!("write {{value}}, or add {{{name}}} to instance"))
            };
            self.fault(format!("{at}.payload"), problem, fix);
        }
        let reply = command
            .reply
            .as_ref()
            .and_then(|reply| self.reply(&format!("{at}.reply"), reply, known, &command.topic));
        let command = Command {
            object: object.id,
            resource: resource.id,
            operations,
            target: instance.target.clone(),
            rules: rules.clone(),
            topic,
            payload,
            reply,
        };
        if self.compiled.commands.iter().any(|other| other.clashes_with(&command)) {
            let problem =
                format!("an earlier mapping has a command for /{}/*/{} already", object.id, resource.id);
            self.fault(at, problem, "keep one of the two commands");
        }
        self.compiled.commands.push(command);
    }

    /// Checks a reply; `known` is what the instance stands for, `command` where the command goes.
    fn reply(
        &mut self,
        at: &str,
        settings: &ReplySettings,
        known: &[String],
        command: &str,
    ) -> Option<Reply> {
        let key = format!("{at}.topic");
        let fix = "write the topic that the answer comes on, such as \"stat/lamp/RESULT\"";
        let filter = self.sound(&key, Filter::parse(&settings.topic), fix);
        if let Some(filter) = &filter {
            if settings.topic.contains(['+', '#']) {
                self.fault(key.clone(), "a reply comes from one topic, so it takes no wildcard", fix);
            }
            if settings.topic == command {
                self.fault(key.clone(), "this is where the command goes: it would answer itself", fix);
            }
            for name in filter.captures().filter(|name| !known.iter().any(|known| known == name)) {
                let problem = format!("{{{name}}} is not among what instance stands for");
                self.fault(key.clone(), problem, format!("add {{{name}}} to instance, or write it out"));
            }
        }
        let value = settings.value.as_deref().map(Pointer::parse).transpose();
        let value = self.sound(&format!("{at}.value"), value, "write a JSON pointer such as \"/POWER\"");
        let success: Vec<_> =
            settings.success.iter().map(|word| Template::parse(&word.to_string())).collect();
        let stray = success.iter().flat_map(Template::placeholders).find(|name| *name != VALUE);
        if let Some(name) = stray {
            let problem = format!("{{{name}}} stands for nothing here");
            self.fault(
                format!("{at}.success"),
                problem,
                "write {value} for what was written, or the word itself",
            );
        }
        let within = settings.within.unwrap_or(CONFIRM_WITHIN);
        if !(SHORTEST_WAIT..=LONGEST_WAIT).contains(&within) {
            let problem = "this is too short or too long for a server that waits";
            self.fault(format!("{at}.within"), problem, "write a time from \"100ms\" to \"60s\"");
        }
        Some(Reply {
            filter: filter?,
            topic: Template::parse(&settings.topic),
            value: value?,
            success,
            within,
        })
    }
}

impl Instance {
    fn fixed(id: u16) -> Self {
        Self { selector: Selector::Fixed(id), target: Target::Fixed(id) }
    }
}

/// The names in `{a}` or `{a}/{b}`; `None` if the text is anything else.
fn capture_names(text: &str) -> Option<Vec<String>> {
    let name = |part: &str| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        is_name(name).then(|| name.to_owned())
    };
    text.split('/').map(name).collect()
}

fn named_object(object: &ObjectDef) -> String {
    format!("object {} {}", object.id, object.name)
}

/// A few resources of an object for a hint: those first that every instance has, as they say best what it is for.
fn some_resources(object: &ObjectDef, wanted: impl Fn(&ResourceDef) -> bool) -> String {
    let mut resources: Vec<_> =
        object.resources().iter().filter(|def| wanted(def) && !def.multiple).collect();
    resources.sort_by_key(|resource| !resource.mandatory);
    let mut names: Vec<_> =
        resources.iter().take(HINTS).map(|resource| format!("{} {}", resource.id, resource.name)).collect();
    if resources.len() > HINTS {
        names.push("…".to_owned());
    }
    listed(&names)
}

fn listed<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => "there is none".to_owned(),
        names => names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests;
