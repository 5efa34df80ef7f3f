//! Who may do what: tokens, the identities that they stand for, and the rules of these.
//!
//! Any user of the machine and any web page can reach a loopback port, so nothing but health and version is open to
//! who has no token. The rules are those of Kubernetes' RBAC, in the shape of a Role.

mod attributes;
mod identity;
mod rule;
mod token;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::HeaderMap;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(crate) use self::{
    attributes::{Attributes, Permission},
    token::Token,
};
pub use self::{
    identity::{Grant, Identity},
    rule::{Role, RoleError, Rule},
};
use crate::{
    clock::Clock,
    error::ApiError,
    store::{Key, Kind, Store, meta},
};

/// The tokens of a cluster and what they allow.
pub(crate) struct Access {
    store: Store,
    clock: Clock,
    administrator: Token,
    /// By the hash of the token: how long a look-up takes tells nothing about the tokens that there are.
    entries: Mutex<HashMap<[u8; 32], Entry>>,
}

/// A token that was granted.
struct Entry {
    subject: Arc<Subject>,
    expires_at: Option<Timestamp>,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) identity: Identity,
    /// The uid of a service account: the token of one that was deleted opens nothing.
    pub(crate) uid: Option<String>,
    /// What a real server calls the id of the credential.
    pub(crate) credential: String,
}

impl Access {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, administrator: Token::random(), entries: Mutex::default() }
    }

    /// The token that may do everything. It neither expires nor can it be revoked.
    pub(crate) fn administrator(&self) -> &Token {
        &self.administrator
    }

    /// Makes a token valid. Its service account must be there.
    pub(crate) fn grant(&self, grant: &Grant) {
        let account = grant.identity.service_account.as_ref();
        let uid = account.map(|(namespace, name)| self.account_uid(namespace, name).unwrap_or_default());
        let subject =
            Subject { identity: grant.identity.clone(), uid, credential: format!("JTI={}", Uuid::new_v4()) };
        let expires_at = grant
            .identity
            .lifetime
            .map(|lifetime| self.clock.timestamp().checked_add(lifetime).unwrap_or(Timestamp::MAX));
        let entry = Entry { subject: Arc::new(subject), expires_at };
        self.entries().insert(hash(&grant.token), entry);
    }

    /// Makes a token invalid. Whether it was valid.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        self.entries().remove(&hash(token)).is_some()
    }

    /// Finds out who asks: 401 for a token that is not valid, and nobody in particular without one.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Subject>, ApiError> {
        let unauthorized = || ApiError::new(401, "Unauthorized", "Unauthorized");
        let Some(given) = token::given(headers) else {
            return Ok(Arc::new(Subject::new(Identity::anonymous())));
        };
        if self.administrator.is(&given) {
            return Ok(Arc::new(Subject::new(Identity::administrator())));
        }
        let subject = {
            let entries = self.entries();
            let entry = entries.get(&hash(&given)).ok_or_else(unauthorized)?;
            if entry.expires_at.is_some_and(|end| end <= self.clock.timestamp()) {
                return Err(unauthorized());
            }
            Arc::clone(&entry.subject)
        };
        let gone = subject
            .identity
            .service_account
            .as_ref()
            .is_some_and(|(namespace, name)| self.account_uid(namespace, name) != subject.uid);
        if gone { Err(unauthorized()) } else { Ok(subject) }
    }

    fn account_uid(&self, namespace: &str, name: &str) -> Option<String> {
        let account = self.store.get(&Key::new(Kind::ServiceAccount, namespace, name))?;
        Some(meta(&account, "uid").to_owned())
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subject {
    fn new(identity: Identity) -> Self {
        Self { identity, uid: None, credential: String::new() }
    }

    /// Refuses what the identity's rules do not allow, in the words of a real server.
    pub(crate) fn authorize(&self, attributes: &Attributes) -> Result<(), ApiError> {
        match self.permission(attributes) {
            Permission::Denied => Err(attributes.refusal(&self.identity.user)),
            Permission::Allowed { .. } => Ok(()),
        }
    }

    /// Whether the identity may do this, and by which role.
    pub(crate) fn permission(&self, attributes: &Attributes) -> Permission {
        self.identity.permission(attributes)
    }

    /// Whether it is the administrator, who alone may use the cluster's own paths.
    pub(crate) fn is_administrator(&self) -> bool {
        self.identity.is_administrator()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
