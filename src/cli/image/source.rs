//! What an image is made from, by the words of a command line.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

use uuid::Uuid;
use wm_core::{ImageRequest, ImageRequirements, PythonInstaller};
use workload_manager::{ImageReference, WorkloadId, WorkloadKind};

use crate::cli::failure::Failure;

/// For whom an image is wanted, and what it is made from.
#[derive(clap::Args)]
pub(crate) struct RequestArguments {
    /// The workload's id; a new one by default
    #[arg(long)]
    id: Option<WorkloadId>,

    /// The image of the workload's snapshot
    #[arg(long)]
    image: Option<ImageReference>,

    /// The Dockerfile, `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["parent", "apt", "pip"])]
    dockerfile: Option<PathBuf>,

    /// What the image is called, without a registry; the hash of the Dockerfile is its tag by default
    #[arg(long, value_name = "NAME[:TAG]")]
    name: Option<String>,

    /// The image to build on
    #[arg(long, value_name = "IMAGE")]
    parent: Option<ImageReference>,

    #[command(flatten)]
    packages: PackageArguments,
}

/// What a generated Dockerfile installs.
#[derive(clap::Args)]
pub(crate) struct DockerfileArguments {
    /// The image to build on
    #[arg(long, value_name = "IMAGE")]
    parent: ImageReference,

    #[command(flatten)]
    packages: PackageArguments,
}

#[derive(clap::Args)]
struct PackageArguments {
    /// A Debian package
    #[arg(long, value_name = "PACKAGE")]
    apt: Vec<String>,

    /// A requirement for pip
    #[arg(long, value_name = "REQUIREMENT")]
    pip: Vec<String>,

    /// Install with pip itself, not with uv
    #[arg(long)]
    without_uv: bool,
}

impl RequestArguments {
    pub(super) fn into_request(self) -> Result<ImageRequest, Failure> {
        let id = match self.id {
            Some(id) => id,
            None => WorkloadId::new(Uuid::new_v4().to_string())?,
        };
        let mut request = ImageRequest::new(id, WorkloadKind::Run, self.image);
        if let Some(path) = self.dockerfile {
            request = request.with_dockerfile(read(&path)?);
        }
        if let Some(name) = self.name {
            request = request.with_image_name(name);
        }
        let Some(parent) = self.parent else {
            if !self.packages.apt.is_empty() || !self.packages.pip.is_empty() {
                return Err(Failure::usage("packages are installed on a parent image, and none is named")
                    .advising("add --parent IMAGE"));
            }
            return Ok(request);
        };
        Ok(request.with_requirements(self.packages.on(parent)))
    }
}

impl DockerfileArguments {
    pub(super) fn into_requirements(self) -> ImageRequirements {
        self.packages.on(self.parent)
    }
}

impl PackageArguments {
    fn on(self, parent: ImageReference) -> ImageRequirements {
        let installer = if self.without_uv { PythonInstaller::Pip } else { PythonInstaller::Uv };
        ImageRequirements { parent, apt_packages: self.apt, pip_requirements: self.pip, installer }
    }
}

/// Reads a Dockerfile as it is: its hash is its name.
fn read(path: &PathBuf) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        fs::read_to_string(path).map(|read| text = read)
    };
    match read {
        Ok(()) => Ok(text),
        Err(error) => {
            Err(Failure::usage(format!("the Dockerfile {} can't be read: {error}", path.display()))
                .advising("name a text file with --dockerfile, or - and pipe it in"))
        }
    }
}
