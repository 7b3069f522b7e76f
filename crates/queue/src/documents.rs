//! Small JSON documents that one process publishes for the others: the catalog, a session.

use redis::{AsyncCommands, RedisError};
use serde::{Serialize, de::DeserializeOwned};

use crate::{link::Link, scripts};

/// Documents by name; the key is `<namespace>:<name>`.
#[derive(Debug, Clone)]
pub struct Documents {
    link: Link,
}

/// Why a document was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Redis did not do it.
    #[error("Redis did not answer for a document")]
    Redis(#[from] RedisError),
    /// It is not of the expected shape.
    #[error("the document {name} cannot be read or written as JSON")]
    Json {
        /// The document.
        name: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl Documents {
    /// The documents of the link's namespace.
    pub fn new(link: &Link) -> Self {
        Self { link: link.clone() }
    }

    /// Reads a document.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DocumentError> {
        let stored: Option<Vec<u8>> = self.link.clone().get(self.key(name)).await?;
        stored
            .map(|json| serde_json::from_slice(&json))
            .transpose()
            .map_err(|source| json(name, source))
    }

    /// Writes a document.
    pub async fn set<T: Serialize>(&self, name: &str, document: &T) -> Result<(), DocumentError> {
        let written = serde_json::to_vec(document).map_err(|source| json(name, source))?;
        let () = self.link.clone().set(self.key(name), written).await?;
        Ok(())
    }

    /// Writes a document with a `version` field, unless the stored one is newer. Whether it did.
    pub async fn set_newer<T: Serialize>(
        &self,
        name: &str,
        version: i64,
        document: &T,
    ) -> Result<bool, DocumentError> {
        let written = serde_json::to_vec(document).map_err(|source| json(name, source))?;
        let mut call = scripts::call(&scripts::SET_NEWER, &[&self.key(name)]);
        call.arg(written).arg(version);
        Ok(scripts::run(&self.link, &scripts::SET_NEWER, &call).await?)
    }

    /// Deletes a document.
    pub async fn delete(&self, name: &str) -> Result<(), DocumentError> {
        let () = self.link.clone().del(self.key(name)).await?;
        Ok(())
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.link.namespace())
    }
}

fn json(name: &str, source: serde_json::Error) -> DocumentError {
    DocumentError::Json {
        name: name.to_owned(),
        source,
    }
}
