//! Where files lie that are too large for a chat's message: a folder of this machine.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_desk::Shelf;
use convoke_domain::ids::JobKey;

/// Its name under the data folder.
const FOLDER: &str = "chat";

/// A folder, with one of its own for each job.
#[derive(Clone, Debug)]
pub struct FolderShelf {
    folder: PathBuf,
}

impl FolderShelf {
    /// The one of a data folder, which is made once something is laid down.
    pub fn under(data_dir: &Path) -> Arc<dyn Shelf> {
        let folder = data_dir.join(FOLDER);
        Arc::new(Self { folder: std::path::absolute(&folder).unwrap_or(folder) })
    }
}

#[async_trait]
impl Shelf for FolderShelf {
    async fn lay(&self, key: &JobKey, path: &str, bytes: Bytes) -> io::Result<String> {
        let place = self.folder.join(key.job.as_str()).join(path);
        let whole = place.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(folder) = whole.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let unfinished = whole.with_added_extension("part");
            std::fs::write(&unfinished, &bytes)?;
            std::fs::rename(&unfinished, &whole)
        })
        .await
        .map_err(io::Error::other)??;
        Ok(place.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_lies_whole_where_it_is_said_to_lie() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = FolderShelf::under(folder.path());
        let key = JobKey {
            tenant: "local".parse().expect("a tenant"),
            job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("an id"),
        };
        for content in ["one", "two"] {
            let place = shelf.lay(&key, "src/main.py", Bytes::from(content)).await.expect("laid down");
            assert!(place.ends_with("chat/01KAJ0X5T3ZQ4V8N2M6R7W9YBC/src/main.py"), "{place}");
            assert_eq!(std::fs::read_to_string(&place).expect("read"), content);
        }
        let lying = std::fs::read_dir(folder.path().join("chat/01KAJ0X5T3ZQ4V8N2M6R7W9YBC/src")).expect("read").count();
        assert_eq!(lying, 1);
    }
}
