use std::path::PathBuf;

/// Where the pods of a node keep their files: a directory each, named by its uid.
#[derive(Debug)]
pub(crate) struct Directories {
    root: PathBuf,
}

impl Directories {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn pod(&self, uid: &str) -> PathBuf {
        self.root.join("pods").join(uid)
    }

    /// The home and working directory of its processes.
    pub(crate) fn home(&self, uid: &str) -> PathBuf {
        self.pod(uid).join("home")
    }

    /// The log of one run of a container.
    pub(crate) fn log(&self, uid: &str, container: &str, run: u32) -> PathBuf {
        self.pod(uid).join("logs").join(container).join(format!("{run}.log"))
    }

    /// What the pod's containers see of one of its volumes.
    pub(crate) fn volume(&self, uid: &str, volume: &str) -> PathBuf {
        self.pod(uid).join("volumes").join(volume)
    }

    /// What one run of a container wrote as its last message.
    pub(crate) fn termination_message(&self, uid: &str, container: &str, run: u32) -> PathBuf {
        self.pod(uid).join("logs").join(container).join(format!("{run}.message"))
    }
}
