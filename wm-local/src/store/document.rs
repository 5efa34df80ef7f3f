//! One version of an object at rest: as text once nobody looks at it any more, which takes a tenth of the memory.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;

/// One version of an object. It never changes, only the form that it is kept in.
pub(crate) struct Document {
    value: Mutex<Option<Arc<Value>>>,
    encoded: OnceLock<Bytes>,
}

impl Document {
    pub(super) fn new(object: Arc<Value>) -> Self {
        Self { value: Mutex::new(Some(object)), encoded: OnceLock::new() }
    }

    /// The object; made anew from its text each time once it has been folded up.
    pub(crate) fn value(&self) -> Arc<Value> {
        if let Some(value) = &*self.lock() {
            return Arc::clone(value);
        }
        // What we encoded ourselves can be decoded.
        let value = self.encoded.get().and_then(|text| serde_json::from_slice(text).ok());
        Arc::new(value.unwrap_or_default())
    }

    /// The object as JSON, encoded once however many ask.
    pub(crate) fn encoded(&self) -> Bytes {
        self.encoded.get_or_init(|| Bytes::from(self.value().to_string())).clone()
    }

    /// Keeps only the text from now on.
    pub(super) fn fold(&self) {
        self.encoded();
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Value>>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Document {
    /// Nothing of its content, which may be a Secret's.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Document").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_the_same_after_it_was_folded_up() {
        let object = json!({"a": [1, -2, 0.1, 1e300, null, true], "b": {"ü\u{0}\n": "\"\\"}, "c": u64::MAX});
        let document = Document::new(Arc::new(object.clone()));
        let before = document.encoded();
        document.fold();
        assert!(document.lock().is_none());
        assert_eq!((&*document.value(), document.encoded()), (&object, before));
    }
}
