//! The textual form of a fault: words with values, between commas. A backslash takes a comma for itself.

use std::{str::FromStr, time::Duration};

use super::{
    catalog::CATALOG,
    duration,
    effect::{Effect, ImageFault, OutOfMemory, Refusal, RetryAfter, Shortage},
    fault::{Fault, FaultError},
};

const IMAGE: [(&str, ImageFault); 11] = [
    ("not-found", ImageFault::NotFound),
    ("unauthorized", ImageFault::Unauthorized),
    ("denied", ImageFault::Denied),
    ("no-token", ImageFault::NoToken),
    ("forbidden", ImageFault::Forbidden),
    ("too-many-requests", ImageFault::TooManyRequests),
    ("server-error", ImageFault::ServerError),
    ("refused", ImageFault::Refused),
    ("no-platform", ImageFault::NoPlatform),
    ("invalid-name", ImageFault::InvalidName),
    ("never-pull", ImageFault::NeverPull),
];

const SHORTAGE: [(&str, Shortage); 7] = [
    ("cpu", Shortage::Cpu),
    ("memory", Shortage::Memory),
    ("gpu", Shortage::Gpu),
    ("pods", Shortage::Pods),
    ("taint", Shortage::Taint),
    ("selector", Shortage::Selector),
    ("volume", Shortage::Volume),
];

const REFUSAL: [(&str, Refusal); 10] = [
    ("quota", Refusal::Quota),
    ("policy", Refusal::Policy),
    ("policy-warns", Refusal::PolicyWarns),
    ("webhook", Refusal::Webhook),
    ("webhook-warns", Refusal::WebhookWarns),
    ("webhook-silent", Refusal::WebhookSilent),
    ("webhook-slow", Refusal::WebhookSlow),
    ("webhook-down", Refusal::WebhookDown),
    ("pod-security", Refusal::PodSecurity),
    ("service-account", Refusal::ServiceAccount),
];

pub(super) fn parse(text: &str) -> Result<Fault, FaultError> {
    let words = split(text);
    let mut effects = Vec::new();
    let mut options = Vec::new();
    for word in &words {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (word.trim(), None),
        };
        match effect(name, value)? {
            Some(effect) => effects.push(effect),
            None => options.push((name, value)),
        }
    }
    let Ok([effect]) = <[Effect; 1]>::try_from(effects) else {
        let known: Vec<&str> = CATALOG.iter().map(|entry| entry.name).collect();
        return Err(FaultError(format!(
            "{text:?} must name one fault; these are known: {}",
            known.join(", ")
        )));
    };
    let mut fault = Fault::new(effect);
    for (name, value) in options {
        option(&mut fault, name, value)?;
    }
    Ok(fault)
}

/// Words between commas, without the backslashes.
fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let taken = match character {
            ',' => {
                words.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(word) = words.last_mut() {
            word.push(taken);
        }
    }
    words
}

fn effect(name: &str, value: Option<&str>) -> Result<Option<Effect>, FaultError> {
    let without = |effect| match value {
        None => Ok(effect),
        Some(value) => Err(FaultError(format!("{name} takes no value, but has {value:?}"))),
    };
    Ok(Some(match name {
        "latency" => Effect::Latency(time(name, value)?),
        "too-many-requests" => Effect::TooManyRequests(retry_after(name, value)?),
        "too-many-requests-status" => Effect::TooManyRequestsStatus(retry_after(name, value)?),
        "error" => match number(name, value.or(Some("500")))? {
            code @ (500 | 502 | 503 | 504) => Effect::Error(code),
            other => return Err(FaultError(format!("error is one of 500, 502, 503, 504, not {other}"))),
        },
        "unauthorized" => without(Effect::Unauthorized)?,
        "request-lost" => without(Effect::RequestLost)?,
        "response-lost" => without(Effect::ResponseLost)?,
        "cut" => Effect::Cut(number(name, value)?),
        "expired" => without(Effect::Expired)?,
        "stale-list" => Effect::StaleList(number(name, value)?),
        "watch-silent" => Effect::WatchSilent(value.map(|_| time(name, value)).transpose()?),
        "watch-end" => without(Effect::WatchEnd)?,
        "watch-lost" => without(Effect::WatchLost)?,
        "bookmarks-missing" => without(Effect::BookmarksMissing)?,
        "bookmark-storm" => Effect::BookmarkStorm(number(name, value)?),
        "api-away" => without(Effect::ApiAway)?,
        "clock-skew" => Effect::ClockSkew(skew(name, value)?),
        "image" => Effect::Image(one_of(name, value, &IMAGE)?),
        "unschedulable" => Effect::Unschedulable(one_of(name, value, &SHORTAGE)?),
        "admission" => Effect::Admission(one_of(name, value, &REFUSAL)?),
        "oom" => Effect::OutOfMemory(out_of_memory(name, value)?),
        "evict" => Effect::Evict(match value {
            None | Some("before-start") => None,
            value => Some(time(name, value)?),
        }),
        "node-not-ready" => without(Effect::NodeNotReady)?,
        "node-gone" => without(Effect::NodeGone)?,
        "log-unavailable" => without(Effect::LogUnavailable)?,
        "log-rotation" => Effect::LogRotation(number(name, value)?),
        _ => return Ok(None),
    }))
}

fn option(fault: &mut Fault, name: &str, value: Option<&str>) -> Result<(), FaultError> {
    let list = || -> Result<Vec<String>, FaultError> {
        let text = needed(name, value)?;
        Ok(text.split('|').map(|one| one.trim().to_owned()).collect())
    };
    match name {
        "verbs" => fault.selector.verbs = list()?,
        "resources" => fault.selector.resources = list()?,
        "namespaces" => fault.selector.namespaces = list()?,
        "names" => fault.selector.names = list()?,
        "users" => fault.selector.users = list()?,
        "agents" => fault.selector.agents = list()?,
        "images" => fault.selector.images = list()?,
        "rate" => match needed(name, value)?.parse() {
            Ok(rate) if (0.0..=1.0).contains(&rate) => fault.rate = rate,
            _ => {
                return Err(FaultError(format!(
                    "rate is a number from 0 to 1, not {:?}",
                    value.unwrap_or_default()
                )));
            }
        },
        "count" => fault.count = Some(number(name, value)?),
        "skip" => fault.skip = number(name, value)?,
        "after" => fault.after = time(name, value)?,
        "for" => fault.lasts = Some(time(name, value)?),
        "events" => fault.events = number(name, value)?,
        "tries" if matches!(fault.effect, Effect::Image(_)) => fault.tries = Some(number(name, value)?),
        "disruption" if matches!(fault.effect, Effect::Evict(_)) && value.is_none() => {
            fault.disruption = true;
        }
        "message" if matches!(fault.effect, Effect::Evict(_) | Effect::Admission(_)) => {
            fault.message = Some(needed(name, value)?.to_owned());
        }
        "tries" | "disruption" | "message" => {
            return Err(FaultError(format!("{name} does not go with this fault, or not in this way")));
        }
        other => {
            return Err(FaultError(format!(
                "{other:?} is neither a fault nor an option: options are verbs, resources, namespaces, names, users, \
                 agents, images, rate, count, skip, after, for, events, tries, disruption, message"
            )));
        }
    }
    Ok(())
}

fn needed<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, FaultError> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| FaultError(format!("{name} needs a value")))
}

fn number<T: FromStr>(name: &str, value: Option<&str>) -> Result<T, FaultError> {
    let text = needed(name, value)?;
    text.parse().map_err(|_| FaultError(format!("{name} is a whole number, not {text:?}")))
}

fn time(name: &str, value: Option<&str>) -> Result<Duration, FaultError> {
    let text = needed(name, value)?;
    duration::parse(text)
        .ok_or_else(|| FaultError(format!("{name} is a time such as 200ms, 2s, 5m or 1h, not {text:?}")))
}

fn retry_after(name: &str, value: Option<&str>) -> Result<RetryAfter, FaultError> {
    match value {
        None => Ok(RetryAfter::Seconds(1)),
        Some("none") => Ok(RetryAfter::Untold),
        value => number(name, value).map(RetryAfter::Seconds),
    }
}

fn skew(name: &str, value: Option<&str>) -> Result<i64, FaultError> {
    let text = needed(name, value)?;
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let seconds = time(name, Some(rest.strip_prefix('+').unwrap_or(rest)))?.as_secs();
    Ok(sign * i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn out_of_memory(name: &str, value: Option<&str>) -> Result<OutOfMemory, FaultError> {
    match value {
        None | Some("start") => Ok(OutOfMemory::AtStart),
        Some("child") => Ok(OutOfMemory::Child),
        Some(text) => match text.strip_suffix('B').and_then(|bytes| bytes.parse().ok()) {
            Some(bytes) => Ok(OutOfMemory::Printed(bytes)),
            None => duration::parse(text).map(OutOfMemory::After).ok_or_else(|| {
                FaultError(format!(
                    "{name} is start, child, a time such as 200ms or an output such as 4096B, not {text:?}"
                ))
            }),
        },
    }
}

fn one_of<T: Copy>(name: &str, value: Option<&str>, known: &[(&str, T)]) -> Result<T, FaultError> {
    let text = value.unwrap_or_default();
    known.iter().find(|(one, _)| *one == text).map(|(_, found)| *found).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(|(one, _)| *one).collect();
        FaultError(format!("{name} is one of {}, not {text:?}", known.join(", ")))
    })
}

pub(super) fn format(fault: &Fault) -> String {
    let mut words = vec![format_effect(&fault.effect)];
    let selector = &fault.selector;
    for (name, list) in [
        ("verbs", &selector.verbs),
        ("resources", &selector.resources),
        ("namespaces", &selector.namespaces),
        ("names", &selector.names),
        ("users", &selector.users),
        ("agents", &selector.agents),
        ("images", &selector.images),
    ] {
        if !list.is_empty() {
            words.push(format!("{name}={}", list.join("|")));
        }
    }
    if fault.rate < 1.0 {
        words.push(format!("rate={}", fault.rate));
    }
    let numbers = [
        ("count", fault.count),
        ("skip", Some(fault.skip).filter(|skip| *skip > 0)),
        ("events", Some(fault.events).filter(|events| *events > 0)),
        ("tries", fault.tries),
    ];
    for (name, number) in numbers {
        words.extend(number.map(|number| format!("{name}={number}")));
    }
    let times = [("after", Some(fault.after).filter(|after| !after.is_zero())), ("for", fault.lasts)];
    for (name, time) in times {
        words.extend(time.map(|time| format!("{name}={}", duration::format(time))));
    }
    if fault.disruption {
        words.push("disruption".to_owned());
    }
    words.extend(fault.message.as_ref().map(|message| format!("message={message}")));
    let words: Vec<String> =
        words.iter().map(|word| word.replace('\\', "\\\\").replace(',', "\\,")).collect();
    words.join(",")
}

fn format_effect(effect: &Effect) -> String {
    let after = |name: &str, retry: RetryAfter| match retry {
        RetryAfter::Seconds(seconds) => format!("{name}={seconds}"),
        RetryAfter::Untold => format!("{name}=none"),
    };
    match effect {
        Effect::Latency(time) => format!("latency={}", duration::format(*time)),
        Effect::TooManyRequests(retry) => after("too-many-requests", *retry),
        Effect::TooManyRequestsStatus(retry) => after("too-many-requests-status", *retry),
        Effect::Error(code) => format!("error={code}"),
        Effect::Unauthorized => "unauthorized".to_owned(),
        Effect::RequestLost => "request-lost".to_owned(),
        Effect::ResponseLost => "response-lost".to_owned(),
        Effect::Cut(bytes) => format!("cut={bytes}"),
        Effect::Expired => "expired".to_owned(),
        Effect::StaleList(changes) => format!("stale-list={changes}"),
        Effect::WatchSilent(None) => "watch-silent".to_owned(),
        Effect::WatchSilent(Some(time)) => format!("watch-silent={}", duration::format(*time)),
        Effect::WatchEnd => "watch-end".to_owned(),
        Effect::WatchLost => "watch-lost".to_owned(),
        Effect::BookmarksMissing => "bookmarks-missing".to_owned(),
        Effect::BookmarkStorm(count) => format!("bookmark-storm={count}"),
        Effect::ApiAway => "api-away".to_owned(),
        Effect::ClockSkew(seconds) => format!("clock-skew={seconds}s"),
        Effect::Image(fault) => format!("image={}", word(fault, &IMAGE)),
        Effect::Unschedulable(shortage) => format!("unschedulable={}", word(shortage, &SHORTAGE)),
        Effect::Admission(refusal) => format!("admission={}", word(refusal, &REFUSAL)),
        Effect::OutOfMemory(OutOfMemory::AtStart) => "oom=start".to_owned(),
        Effect::OutOfMemory(OutOfMemory::Child) => "oom=child".to_owned(),
        Effect::OutOfMemory(OutOfMemory::After(time)) => format!("oom={}", duration::format(*time)),
        Effect::OutOfMemory(OutOfMemory::Printed(bytes)) => format!("oom={bytes}B"),
        Effect::Evict(None) => "evict=before-start".to_owned(),
        Effect::Evict(Some(time)) => format!("evict={}", duration::format(*time)),
        Effect::NodeNotReady => "node-not-ready".to_owned(),
        Effect::NodeGone => "node-gone".to_owned(),
        Effect::LogUnavailable => "log-unavailable".to_owned(),
        Effect::LogRotation(bytes) => format!("log-rotation={bytes}"),
    }
}

fn word<T: PartialEq>(wanted: &T, known: &[(&'static str, T)]) -> &'static str {
    known.iter().find(|(_, one)| one == wanted).map_or("", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        for text in [
            "latency=200ms,verbs=create,resources=jobs,rate=0.1",
            "too-many-requests=none,agents=wm/*,count=2,skip=1,after=5s,for=1m",
            "watch-silent=90s,events=2",
            "image=not-found,images=registry.example/*,tries=3",
            "evict=100ms,disruption,message=The node was low on resource: memory\\, of all things",
            "clock-skew=-90s",
            "oom=4096B,names=train-*",
        ] {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.to_string(), text);
            assert_eq!(serde_json::to_value(&fault).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused_with_what_would_be_one() {
        for (text, expected) in [
            ("", "must name one fault"),
            ("verbs=create", "must name one fault"),
            ("latency=1s,cut=5", "must name one fault"),
            ("latency", "latency needs a value"),
            ("latency=2", "such as 200ms"),
            ("error=404", "500, 502, 503, 504"),
            ("image=nope", "not-found"),
            ("watch-end=1", "takes no value"),
            ("watch-end,rate=2", "from 0 to 1"),
            ("watch-end,tries=2", "does not go with"),
            ("watch-end,verb=create", "options are verbs"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
