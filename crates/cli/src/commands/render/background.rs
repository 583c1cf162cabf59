// SPDX-License-Identifier: GPL-3.0-or-later
//! The Blender that renders: started for this command, driven over the wire, gone with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use blendwire_client::{Access, Blender, Endpoint, Event, Options, Outcome, Script, Tls};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tempfile::TempDir;

use crate::access;
use crate::args::RenderArgs;
use crate::commands::launch::child::Child;
use crate::commands::launch::start::Start;
use crate::commands::launch::{port, ready};
use crate::env_vars;

/// Says what to remove when this command has gone.
const ANNOUNCE: &str =
    "import json\nimport os\n\ndef main(folders):\n    os.environ['BLENDWIRE_LEFTOVERS'] = json.dumps(folders)";

/// It holds nothing that is worth waiting for.
const END_WITHIN: Duration = Duration::from_secs(2);

/// From a connection's end to the process's: a crash may write a report first.
const CRASHES_WITHIN: Duration = Duration::from_secs(10);

/// See the module. Killed when dropped.
pub(super) struct Background {
    blender: Blender,
    child: Child,
    /// What Blender needs meanwhile, and what must not be seen: others are not to find this server, and take it for the
    /// Blender that its user works in.
    folder: TempDir,
    /// Where it renders to: beside the pictures, so that a rename brings one to its place in one step. It is removed after
    /// Blender has ended, which would make it anew.
    beside: Option<Beside>,
}

/// A folder that is removed when dropped.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.0);
    }
}

/// Why a script gave no result.
pub(super) enum Unfinished {
    /// It raised, and this is what.
    Raised(String),
    /// There is no Blender any more.
    Gone(anyhow::Error),
}

impl Background {
    /// Starts one that opens `file`, and waits until it answers.
    ///
    /// # Errors
    /// With what it said, when it does not come up.
    pub(super) async fn start(args: &RenderArgs, file: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("blendwire-render-").tempdir()?;
        let endpoint = Endpoint::new("127.0.0.1", port::any()?);
        let start = Start {
            blender: args.blender.as_deref(),
            embedded: args.embedded,
            background: true,
            file: Some(file),
            endpoint: &endpoint,
            owned: true,
        };
        let mut command = start.command()?;
        command
            .env(env_vars::STATE_DIR, folder.path().join("state"))
            .env(env_vars::LEFTOVERS, json!([folder.path().to_string_lossy()]).to_string());
        for name in ["TMPDIR", "TEMP", "TMP"] {
            command.env(name, folder.path());
        }
        let child = Child::start_owned(command, &endpoint)?;
        // Of its own child: what the environment says of other Blenders is not meant.
        let access = Access { token: access::own_token(), tls: Tls::Off };
        let mut own = Self { blender: Blender::with_access(endpoint.clone(), access), child, folder, beside: None };
        ready::wait(&endpoint, &mut own.child).await?;
        Ok(own)
    }

    /// A new folder to render into, for this picture.
    ///
    /// # Errors
    /// When there can be none beside it.
    pub(super) async fn folder_beside(&mut self, picture: &Path, frame: i32) -> Result<PathBuf, Unfinished> {
        self.beside = None;
        let folder = picture.parent().unwrap_or(picture);
        // As unlike any other as the temporary folder.
        let own = self.folder.path().file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!(".{own}-{frame}"));
        // Known there before it is here: whenever this command is killed, Blender removes it.
        let leftovers = json!({"folders": [self.folder.path().to_string_lossy(), path.to_string_lossy()]});
        self.call::<()>(ANNOUNCE, &leftovers, |_| {}).await?;
        let made = fs_err::create_dir(&path);
        made.map_err(|error| Unfinished::Raised(format!("cannot write to {}: {error}", folder.display())))?;
        Ok(self.beside.insert(Beside(path)).0.clone())
    }

    /// Calls `main` of a snippet with these parameters. Dropped half-way, it is cancelled in Blender.
    ///
    /// # Errors
    /// When there is no result.
    pub(super) async fn call<T: DeserializeOwned>(
        &mut self,
        snippet: &str,
        parameters: &impl Serialize,
        on_event: impl FnMut(Event) + Send,
    ) -> Result<T, Unfinished> {
        let gone = |error: serde_json::Error| Unfinished::Gone(error.into());
        // A JSON text in a Python literal: every escape that JSON writes means the same there.
        let literal = serde_json::to_string(parameters).and_then(|text| serde_json::to_string(&text)).map_err(gone)?;
        let code = format!("{snippet}\n\nimport json\n\nresult = main(**json.loads({literal}))\n");
        let options = Options { title: Some("blendwire render"), no_undo_step: true, ..Options::default() };
        let script = Script::new(&code).with_options(options);
        match self.blender.run_watched(&script, on_event).await {
            Ok(Outcome::Finished { result, .. }) => serde_json::from_str(result.get()).map_err(gone),
            Ok(Outcome::Failed { message, .. }) => Err(Unfinished::Raised(message.trim().to_owned())),
            Err(error) => Err(Unfinished::Gone(self.why_gone(error).await)),
        }
    }

    async fn why_gone(&mut self, error: blendwire_client::ClientError) -> anyhow::Error {
        match tokio::time::timeout(CRASHES_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => {
                let report = self.crash_report().map(|path| format!("; its crash report is in {}", path.display()));
                self.child.failure(&format!("Blender ended ({status}){}", report.unwrap_or_default()))
            }
            _ => anyhow!(error).context("Blender does not answer any more"),
        }
    }

    /// Blender writes one into its folder for temporary files. Brought to where it outlives that.
    fn crash_report(&self) -> Option<PathBuf> {
        let mut entries = fs_err::read_dir(self.folder.path()).ok()?.flatten();
        let report = entries.find(|entry| entry.file_name().to_string_lossy().ends_with(".crash.txt"))?;
        let kept = self.child.log.with_extension("crash.txt");
        fs_err::copy(report.path(), &kept).ok().map(|_| kept)
    }

    /// Ends it. Its log is kept where something went wrong.
    pub(super) async fn end(mut self, keeps_log: bool) {
        self.child.end_owned(END_WITHIN).await;
        if !keeps_log {
            // What cannot be removed is in nobody's way.
            let _ = fs_err::remove_file(&self.child.log);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.child.kill();
    }
}

impl Unfinished {
    /// As an error, whatever it was.
    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Raised(message) => anyhow!(message),
            Self::Gone(error) => error,
        }
    }
}
