// SPDX-License-Identifier: GPL-3.0-or-later
//! The lines of the journal. A key that is absent is nothing; a reader passes over keys that it does not know.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Record {
    /// A request is about to run.
    Begin(Box<Begin>),
    /// It has ended.
    End(Box<End>),
    /// Lines that could not be written.
    Lost(Lost),
}

/// What a request is, and who sent it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// When it began.
    pub time: Timestamp,
    /// The server that ran it, as in its `status`.
    pub instance: String,
    /// Number of the request since that server was started. With `instance`, this joins begin and end.
    pub number: u64,
    /// Blender's process id.
    pub pid: u32,
    /// What was asked.
    pub kind: Kind,
    /// The client's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<serde_json::Value>,
    /// What people are shown.
    #[serde(default)]
    pub title: String,
    /// What the client spoke.
    pub dialect: Dialect,
    /// The other end of its connection, `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What the client calls itself, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Number of the user whose program that is, where the system told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Blender's version.
    #[serde(default)]
    pub blender: String,
    /// The open .blend file; empty when it was never saved.
    #[serde(default)]
    pub file: String,
    /// The namespace that its code ran in, where it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How many steps were to be undone or redone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// What the user has answered, where a guard rule had the user asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consented>,
    /// From its arrival to its begin.
    #[serde(default)]
    pub waited_secs: f64,
    /// The source text, or as much of it as is kept.
    #[serde(default)]
    pub code: String,
    /// Length of the whole source text, where `code` is only its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_bytes: Option<usize>,
    /// SHA-256 of the whole source text in hexadecimal, where `code` is only its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_sha256: Option<String>,
}

/// What was answered for the user to the question whether a request may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consented {
    /// `once`, `session` or `never`.
    pub answer: String,
    /// Where the answer came from.
    pub by: By,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Blender's own menu or panel.
    Blender,
    /// A client, which says that its user has answered.
    Client,
}

/// How a request ended, and what it did outside of Blender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When it ended.
    pub time: Timestamp,
    /// As in [`Begin`].
    pub instance: String,
    /// As in [`Begin`].
    pub number: u64,
    /// `ok`; `error` when the script raised; else the code of the error, such as `timeout` or `cancelled`.
    pub outcome: String,
    /// The last line of the traceback, or of what the client was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// It was taken out of the queue, and nothing of it was run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_began: bool,
    /// From its begin to its end.
    #[serde(default)]
    pub ran_secs: f64,
    /// Whether what a failed script did to the file was taken back, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<bool>,
    /// What it did outside of Blender.
    #[serde(flatten)]
    pub deeds: Deeds,
}

/// Lines that could not be written, told when writing works again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// When writing worked again.
    pub time: Timestamp,
    /// The server whose lines they were.
    pub instance: String,
    /// How many.
    pub count: u64,
    /// When the first of them was lost.
    pub since: Timestamp,
    /// What the system said.
    pub why: String,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A script.
    Execute,
    /// Undo.
    Undo,
    /// Redo.
    Redo,
}

/// What a client spoke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Framed JSON, and lines that a person types.
    #[default]
    Framed,
    /// What mcp-for-blender speaks.
    Bare,
    /// HTTP.
    Http,
    /// MCP over HTTP.
    Mcp,
}

/// Kinds of what a script does outside of Blender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A file or folder was made, opened for writing or changed.
    FileWritten,
    /// A file or folder was removed, or was given another name.
    FileRemoved,
    /// A process was started, or sent a signal.
    Process,
    /// A host was looked up or contacted, or a port was opened.
    Host,
    /// One of these was tried, and a rule of the user's refused it.
    Refused,
}

/// What a request did outside of Blender, each once, in the order in which it was first seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deeds {
    /// Files and folders that were made, opened for writing or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_written: Vec<String>,
    /// How often there were more, beyond those that are kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_files_written: u64,
    /// Files and folders that were removed or renamed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_removed: Vec<String>,
    /// As for `files_written`.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_files_removed: u64,
    /// Command lines of processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<String>,
    /// As for `files_written`.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_processes: u64,
    /// Hosts with their ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// As for `files_written`.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_hosts: u64,
    /// What was refused by a guard rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// As for `files_written`.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_refused: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Deeds {
    /// Of each kind as many are kept: a script that writes ten thousand files is told by the first and the count.
    pub const MOST_OF_A_KIND: usize = 100;

    /// Longest text of one, in bytes.
    pub const LONGEST_BYTES: usize = 1024;

    /// What they take in memory, near enough.
    fn size_bytes(&self) -> usize {
        let lists = [&self.files_written, &self.files_removed, &self.processes, &self.hosts, &self.refused];
        lists.into_iter().flatten().map(String::len).sum()
    }

    /// Notes one.
    pub fn note(&mut self, deed: Deed, what: &str) {
        let (list, more) = match deed {
            Deed::FileWritten => (&mut self.files_written, &mut self.more_files_written),
            Deed::FileRemoved => (&mut self.files_removed, &mut self.more_files_removed),
            Deed::Process => (&mut self.processes, &mut self.more_processes),
            Deed::Host => (&mut self.hosts, &mut self.more_hosts),
            Deed::Refused => (&mut self.refused, &mut self.more_refused),
        };
        let what = shortened(what, Self::LONGEST_BYTES);
        if list.contains(&what) {
            return;
        }
        if list.len() < Self::MOST_OF_A_KIND {
            list.push(what);
        } else {
            *more += 1;
        }
    }

    /// Adds those that came later.
    pub fn absorb(&mut self, later: &Self) {
        let kinds = [
            (Deed::FileWritten, &later.files_written),
            (Deed::FileRemoved, &later.files_removed),
            (Deed::Process, &later.processes),
            (Deed::Host, &later.hosts),
            (Deed::Refused, &later.refused),
        ];
        for (deed, list) in kinds {
            for what in list {
                self.note(deed, what);
            }
        }
        self.more_files_written += later.more_files_written;
        self.more_files_removed += later.more_files_removed;
        self.more_processes += later.more_processes;
        self.more_hosts += later.more_hosts;
        self.more_refused += later.more_refused;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// At most this many bytes of `text`; what is cut ends with an ellipsis.
pub(crate) fn shortened(text: &str, longest_bytes: usize) -> String {
    if text.len() <= longest_bytes {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(longest_bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..kept])
}

impl Begin {
    /// Most of a script that is kept: 1 MiB holds what people and assistants write; what is longer is data.
    pub const LONGEST_CODE_BYTES: usize = 1024 * 1024;

    /// Cuts the source text to what is kept, and says so.
    pub(crate) fn cut(&mut self) {
        if self.code.len() <= Self::LONGEST_CODE_BYTES {
            return;
        }
        self.code_bytes = Some(self.code.len());
        let digest = sha2::Sha256::digest(self.code.as_bytes());
        self.code_sha256 = Some(digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")));
        self.code.truncate(self.code.floor_char_boundary(Self::LONGEST_CODE_BYTES));
    }
}

impl Record {
    /// When it was written.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Begin(begin) => begin.time,
            Self::End(end) => end.time,
            Self::Lost(lost) => lost.time,
        }
    }

    /// The server that wrote it.
    pub fn instance(&self) -> &str {
        match self {
            Self::Begin(begin) => &begin.instance,
            Self::End(end) => &end.instance,
            Self::Lost(lost) => &lost.instance,
        }
    }

    /// What it takes in memory, near enough.
    pub(crate) fn size_bytes(&self) -> usize {
        const THE_REST: usize = 1024;
        match self {
            Self::Begin(begin) => THE_REST + begin.code.len() + begin.title.len() + begin.file.len(),
            Self::End(end) => THE_REST + end.deeds.size_bytes(),
            Self::Lost(_) => THE_REST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_are_told_once_and_counted_beyond_the_limit() {
        let mut deeds = Deeds::default();
        for number in 0..Deeds::MOST_OF_A_KIND + 5 {
            deeds.note(Deed::FileWritten, &format!("/{number}"));
            deeds.note(Deed::Host, "example.org:443");
        }
        assert_eq!((deeds.files_written.len(), deeds.more_files_written), (Deeds::MOST_OF_A_KIND, 5));
        assert_eq!((deeds.hosts.as_slice(), deeds.more_hosts), (&["example.org:443".to_owned()][..], 0));
        let mut first = Deeds::default();
        first.note(Deed::Process, &"ü".repeat(Deeds::LONGEST_BYTES));
        assert!(first.processes[0].len() <= Deeds::LONGEST_BYTES && first.processes[0].ends_with('…'));
        first.absorb(&deeds);
        assert_eq!((first.files_written.len(), first.more_files_written), (Deeds::MOST_OF_A_KIND, 5));
    }

    #[test]
    fn what_is_nothing_is_left_out() {
        let time = Timestamp::from_second(0).unwrap();
        let (instance, deeds) = ("a".to_owned(), Deeds::default());
        let end = End {
            time,
            instance,
            number: 1,
            outcome: "ok".to_owned(),
            error: None,
            never_began: false,
            ran_secs: 0.5,
            rolled_back: None,
            deeds,
        };
        let text = serde_json::to_string(&Record::End(Box::new(end))).unwrap();
        assert_eq!(
            text,
            r#"{"event":"end","time":"1970-01-01T00:00:00Z","instance":"a","number":1,"outcome":"ok","ran_secs":0.5}"#
        );
    }
}
