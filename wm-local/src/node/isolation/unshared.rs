//! Mounts for a user who may make no namespaces, except within one of users: by the help of util-linux' `unshare`.
//!
//! This process can't enter a namespace of users, since it has several threads. So a shell mounts what this plans, and then
//! becomes the container's first process. It costs a program for each mount, so only who has volumes pays for it.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::Mount;

/// No argument of a program may be longer.
const LONGEST_SCRIPT: usize = 120 * 1024;

const OPTIONS: [&str; 6] = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"];

/// Where the tools of the script are, whatever the container's own path is.
const TOOLS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A way to mount that works here.
#[derive(Debug)]
pub(crate) struct Unshared {
    program: PathBuf,
    /// An empty directory.
    scratch: PathBuf,
}

impl Unshared {
    /// Tries it. It blocks for some milliseconds.
    pub(super) fn detect(directory: &Path) -> Result<Self, String> {
        let scratch = directory.join("view");
        let made = fs::create_dir_all(&scratch).and_then(|()| scratch.canonicalize());
        let scratch = made.map_err(|error| error.to_string())?;
        let mut places = TOOLS.split(':').map(|place| Path::new(place).join("unshare"));
        let program = places.find(|place| place.exists()).ok_or("there is no program unshare")?;
        let tried = Command::new(&program)
            .args(OPTIONS)
            .args(["mount", "-t", "tmpfs", "none"])
            .arg(&scratch)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("unshare: {error}"))?;
        if tried.status.success() {
            return Ok(Self { program, scratch });
        }
        Err(String::from_utf8_lossy(&tried.stderr).trim().to_owned())
    }

    /// The command that mounts these, and then runs what it is given as further arguments, in a directory.
    pub(super) fn command(&self, mounts: &[Mount], directory: &Path) -> io::Result<Vec<OsString>> {
        let mut plan = Plan::new(&self.scratch);
        let mut mounts: Vec<_> = mounts.iter().collect();
        mounts.sort_by_key(|mount| mount.target.components().count());
        // With a new root, everything else is done below that.
        if mounts.iter().any(|mount| nearest(&mount.target) == Path::new("/")) {
            plan.renew_root()?;
        }
        for mount in mounts {
            plan.add(mount)?;
        }
        let script = plan.finish();
        if script.len() > LONGEST_SCRIPT {
            return Err(io::Error::other(
                "a directory that a mount point is to be made in has too many entries",
            ));
        }
        let options =
            [self.program.as_os_str().to_owned()].into_iter().chain(OPTIONS.into_iter().map(OsString::from));
        let shell = ["/bin/sh", "-c", &script, "sh"].into_iter().map(OsString::from);
        Ok(options.chain(shell).chain([directory.as_os_str().to_owned()]).collect())
    }
}

/// The script so far. Its own files are named from its directory, for a mount may have covered the way to that; so they
/// are not to be made absolute either (`-c`).
struct Plan {
    script: String,
    root: PathBuf,
    mirrored: HashSet<PathBuf>,
    /// Where volumes are mounted, and what they are outside.
    volumes: Vec<(PathBuf, PathBuf)>,
}

impl Plan {
    fn new(scratch: &Path) -> Self {
        let script = format!(
            "set -e; own=$PATH; PATH={TOOLS}\n\
             trap 'echo \"error during container init: its volumes could not be mounted\" >&2; exit 128' EXIT\n\
             mount -t tmpfs -o mode=0755 none {scratch}\ncd {scratch}\n",
            scratch = quoted(scratch.as_os_str()),
        );
        Self { script, root: PathBuf::new(), mirrored: HashSet::new(), volumes: Vec::new() }
    }

    fn renew_root(&mut self) -> io::Result<()> {
        self.root = "root".into();
        self.line("mkdir", &["root".as_ref()]);
        self.fill(Path::new("/"), Path::new("/"))?;
        self.mirrored.insert("/".into());
        Ok(())
    }

    fn add(&mut self, mount: &Mount) -> io::Result<()> {
        let target = Path::new("/").join(&mount.target);
        let is_directory = fs::metadata(&mount.source)?.is_dir();
        let target = self.mount_point(&target, is_directory)?;
        self.line("mount -c --rbind", &[mount.source.as_os_str(), self.inside(&target).as_os_str()]);
        if mount.is_read_only {
            let options = format!("mount -c -o remount,bind,ro{}", kept_options(&mount.source)?);
            self.line(&options, &[self.inside(&target).as_os_str()]);
        }
        self.volumes.push((target, mount.source.clone()));
        Ok(())
    }

    fn mount_point(&mut self, target: &Path, is_directory: bool) -> io::Result<PathBuf> {
        let outer = self.volumes.iter().rev().find(|(at, _)| target != at && target.starts_with(at));
        if let Some((at, source)) = outer {
            // It is made in the volume, as a runtime would.
            let made = source.join(target.strip_prefix(at).unwrap_or(Path::new("")));
            if is_directory {
                fs::create_dir_all(made)?;
            } else {
                made.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::OpenOptions::new().append(true).create(true).open(made)?;
            }
            return Ok(target.to_owned());
        }
        if let Ok(found) = target.canonicalize() {
            return Ok(found);
        }
        let existing = nearest(target);
        let missing = target.strip_prefix(longest_existing(target)).unwrap_or(target);
        if self.mirrored.insert(existing.clone()) {
            self.mirror(&existing)?;
        }
        let target = existing.join(missing);
        let inside = self.inside(&target);
        if is_directory {
            self.line("mkdir -p", &[inside.as_os_str()]);
        } else {
            self.line("mkdir -p", &[inside.parent().unwrap_or(&inside).as_os_str()]);
            self.line("touch", &[inside.as_os_str()]);
        }
        Ok(target)
    }

    /// Covers a directory by one in memory that has the same entries.
    fn mirror(&mut self, directory: &Path) -> io::Result<()> {
        let kept = format!("kept{}", self.mirrored.len());
        self.line("mkdir", &[kept.as_ref()]);
        self.line("mount -c --rbind", &[directory.as_os_str(), kept.as_ref()]);
        self.line("mount -c -t tmpfs -o mode=0755 none", &[self.inside(directory).as_os_str()]);
        self.fill(Path::new(&kept), directory)
    }

    /// Puts the entries of a directory, which can be seen at `from`, into the empty one that covers it.
    fn fill(&mut self, from: &Path, directory: &Path) -> io::Result<()> {
        let (mut directories, mut files, mut mounts) = (Vec::new(), Vec::new(), Vec::new());
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (kind, at) = (entry.file_type()?, self.inside(&entry.path()));
            if kind.is_symlink() {
                self.line("ln -s", &[fs::read_link(entry.path())?.as_os_str(), at.as_os_str()]);
                continue;
            }
            // What this user can't open need not be there; of the devices that is the most part.
            if access(entry.path(), Access::READ_OK).is_err() {
                continue;
            }
            let list = if kind.is_dir() { &mut directories } else { &mut files };
            list.push(at.clone());
            mounts.push((from.join(entry.file_name()), at));
        }
        for (command, paths) in [("mkdir", directories), ("touch", files)] {
            let paths: Vec<&OsStr> = paths.iter().map(|path| path.as_os_str()).collect();
            if !paths.is_empty() {
                self.line(command, &paths);
            }
        }
        for (source, at) in mounts {
            let (source, at) = (quoted(source.as_os_str()), quoted(at.as_os_str()));
            // It may have been removed meanwhile, as temporary files are. Writing to a string can't fail.
            writeln!(self.script, "mount -c --rbind {source} {at} 2>/dev/null || rm -df {at}").ok();
        }
        Ok(())
    }

    fn finish(mut self) -> String {
        // A system that hides parts of it allows no other one, and then it has too many processes.
        let proc = quoted(self.inside(Path::new("/proc")).as_os_str());
        // Writing to a string can't fail.
        writeln!(self.script, "mount -c -t proc proc {proc} 2>/dev/null || :").ok();
        if self.root.as_os_str().is_empty() {
            self.script.push_str("PATH=$own; cd -- \"$1\"; shift; exec \"$@\"\n");
        } else {
            let root = quoted(self.root.as_os_str());
            let inner = "'PATH=$1; cd -- \"$2\" && shift 2 && exec \"$@\"'";
            writeln!(self.script, "exec chroot {root} /bin/sh -c {inner} sh \"$own\" \"$@\"").ok();
        }
        self.script
    }

    fn inside(&self, path: &Path) -> PathBuf {
        if self.root.as_os_str().is_empty() {
            return path.to_owned();
        }
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn line(&mut self, command: &str, arguments: &[&OsStr]) {
        self.script.push_str(command);
        for argument in arguments {
            self.script.push(' ');
            self.script.push_str(&quoted(argument));
        }
        self.script.push('\n');
    }
}

/// The nearest directory that exists, without links.
fn nearest(target: &Path) -> PathBuf {
    longest_existing(target).canonicalize().unwrap_or_else(|_| "/".into())
}

fn longest_existing(target: &Path) -> &Path {
    target.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"))
}

/// What a file system is mounted with, which a user namespace must not take away.
fn kept_options(path: &Path) -> io::Result<String> {
    let flags = statvfs(path)?.f_flag;
    let all = [
        (StatVfsMountFlags::NOSUID, ",nosuid"),
        (StatVfsMountFlags::NODEV, ",nodev"),
        (StatVfsMountFlags::NOEXEC, ",noexec"),
        (StatVfsMountFlags::NOATIME, ",noatime"),
        (StatVfsMountFlags::RELATIME, ",relatime"),
    ];
    Ok(all.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, option)| option).collect())
}

/// Quotes for a shell. A name that is not text is none that a manifest could have named.
fn quoted(argument: &OsStr) -> String {
    format!("'{}'", argument.to_string_lossy().replace('\'', r"'\''"))
}
