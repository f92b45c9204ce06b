//! What a message of a queue says: S3's own form, wrapped by SNS or not, and `EventBridge`'s.

use serde::Deserialize;

use crate::key::decode;

/// One object that appeared, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// What stands there now, as far as the event tells: `ETag` and size. Nothing if it went.
    pub(crate) now: Option<(String, u64)>,
    pub(crate) is_gone: bool,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Of objects; of none if it is about something else that S3 tells.
    Events(Vec<Event>),
    /// Nothing that S3 would say.
    Broken,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    size: Option<u64>,
    #[serde(alias = "eTag")]
    etag: Option<String>,
}

#[derive(Deserialize)]
struct About {
    bucket: Named,
    object: Object,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    s3: About,
}

/// All forms at once: which one it is, is told by what is there.
#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Records")]
    records: Option<Vec<Record>>,
    /// SNS: another message, as text.
    #[serde(rename = "Message")]
    message: Option<String>,
    /// What S3 sends when notifications are switched on: `s3:TestEvent`.
    #[serde(rename = "Event")]
    event: Option<String>,
    /// `EventBridge`.
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    detail: Option<About>,
}

/// Whether something stands under the key after such an event, or nothing does; [`None`] if it is
/// about neither (tags, rights, an archive).
fn leaves(name: &str) -> Option<bool> {
    let name = name.strip_prefix("s3:").unwrap_or(name);
    let is = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if is(&["ObjectCreated", "Object Created"]) {
        return Some(true);
    }
    is(&["ObjectRemoved", "LifecycleExpiration", "Object Deleted"]).then_some(false)
}

fn event(name: &str, about: About, key: String) -> Option<Event> {
    let stays = leaves(name)?;
    let Object { size, etag, .. } = about.object;
    let now = etag.zip(size).filter(|_| stays);
    let now = now.map(|(etag, size)| (etag.trim_matches('"').to_owned(), size));
    Some(Event { bucket: about.bucket.name, key, now, is_gone: !stays })
}

/// What the body of a message says.
pub(crate) fn read(body: &str) -> Said {
    read_within(body, true)
}

fn read_within(body: &str, may_be_wrapped: bool) -> Said {
    let Ok(message) = serde_json::from_str::<Body>(body) else { return Said::Broken };
    if let Some(records) = message.records {
        let events = records.into_iter().map(|record| {
            // Encoded as in a form; a key that isn't is none that was ever told.
            let key = decode(&record.s3.object.key)?;
            Some(event(&record.event_name, record.s3, key))
        });
        let events: Option<Vec<_>> = events.collect();
        return events.map_or(Said::Broken, |it| Said::Events(it.into_iter().flatten().collect()));
    }
    if let (Some(name), Some(about)) = (message.detail_type, message.detail) {
        let key = about.object.key.clone();
        return Said::Events(event(&name, about, key).into_iter().collect());
    }
    match (message.message, message.event) {
        (Some(inner), _) if may_be_wrapped => read_within(&inner, false),
        (_, Some(event)) if event == "s3:TestEvent" => Said::Events(Vec::new()),
        _ => Said::Broken,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(name: &str, object: &serde_json::Value) -> serde_json::Value {
        json!({ "eventName": name, "s3": { "bucket": { "name": "b" }, "object": object } })
    }

    fn told(body: &serde_json::Value) -> Vec<(String, bool)> {
        match read(&body.to_string()) {
            Said::Events(events) => events.into_iter().map(|it| (it.key, it.is_gone)).collect(),
            Said::Broken => panic!("broken: {body}"),
        }
    }

    #[test]
    fn s3s_own_form_is_understood_with_its_encoded_keys() {
        let made =
            record("ObjectCreated:Put", &json!({ "key": "a+b%2Fc%C3%A9", "size": 3, "eTag": "e" }));
        let gone = record("s3:ObjectRemoved:DeleteMarkerCreated", &json!({ "key": "gone" }));
        let tagged = record("ObjectTagging:Put", &json!({ "key": "tagged" }));
        let body = json!({ "Records": [made, gone, tagged] });
        assert_eq!(told(&body), [("a b/cé".to_owned(), false), ("gone".to_owned(), true)]);
        let Said::Events(events) = read(&body.to_string()) else { panic!("broken") };
        assert_eq!(events[0].now, Some(("e".to_owned(), 3)));
        assert_eq!((events[0].bucket.as_str(), &events[1].now), ("b", &None));
    }

    #[test]
    fn what_sns_wraps_is_unwrapped_once() {
        let made = record("ObjectCreated:Copy", &json!({ "key": "k" }));
        let inner = json!({ "Records": [made] }).to_string();
        let wrapped = json!({ "Type": "Notification", "Message": inner });
        assert_eq!(told(&wrapped), [("k".to_owned(), false)]);
        let twice = json!({ "Type": "Notification", "Message": wrapped.to_string() });
        assert_eq!(read(&twice.to_string()), Said::Broken);
    }

    #[test]
    fn event_bridges_form_is_understood_and_its_keys_are_plain() {
        for (name, is_gone) in [("Object Created", false), ("Object Deleted", true)] {
            let about = json!({ "bucket": { "name": "b" }, "object": { "key": "a+b%20c", "size": 1, "etag": "e" } });
            let body = json!({ "source": "aws.s3", "detail-type": name, "detail": about });
            assert_eq!(told(&body), [("a+b%20c".to_owned(), is_gone)]);
        }
    }

    #[test]
    fn a_test_tells_of_nothing_and_what_is_none_of_it_is_broken() {
        assert_eq!(told(&json!({ "Service": "Amazon S3", "Event": "s3:TestEvent" })), []);
        let half = json!({ "Records": [{ "eventName": "ObjectCreated:Put" }] });
        let garbled = json!({ "Records": [record("ObjectCreated:Put", &json!({ "key": "%zz" }))] });
        for body in ["", "no JSON", "[]", "{}", &half.to_string(), &garbled.to_string()] {
            assert_eq!(read(body), Said::Broken, "{body}");
        }
    }
}
