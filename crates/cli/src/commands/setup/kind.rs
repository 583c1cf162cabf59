// SPDX-License-Identifier: GPL-3.0-or-later
//! What the entries in clients' files are: ours, another server for Blender, or neither.

use blendwire_client::Endpoint;
use serde_json::Value;

use super::started::{self, Started};

/// What an entry in a client's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It starts `blendwire mcp`, of this version or another.
    Ours,
    /// The same in a form that people write and setup does not: over HTTP, or started by way of another program (WSL).
    OursByHand,
    /// Another server for Blender: the assistant would find the same tools twice, and choose one or the other.
    Rival,
    /// Something else.
    Other,
}

impl Kind {
    /// Looks at what is started or where it is, in whichever form the client has that.
    pub(super) fn of(name: &str, entry: &Value) -> Self {
        if url(name, entry).is_some() {
            return Self::OursByHand;
        }
        let words = words(entry);
        let Started { names, command } = Started::by(&words);
        if is_mcp(&command) {
            // A shell's script can have as many words as the entry itself.
            return if command == words { Self::Ours } else { Self::OursByHand };
        }
        if names.iter().any(|name| names_a_rival(name)) { Self::Rival } else { Self::Other }
    }

    /// Whether it leads to Blendwire.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursByHand)
    }
}

fn is_mcp(command: &[String]) -> bool {
    let is_ours = command.first().is_some_and(|program| started::name(program).starts_with("blendwire"));
    is_ours && command.iter().any(|word| word == "mcp")
}

/// The keys under which clients have the address of a server over HTTP.
const URL_KEYS: [&str; 3] = ["url", "httpUrl", "serverUrl"];

/// The ports that Blender's server takes, 9876 and the next free ones, and `blendwire mcp --http`.
const PORTS: std::ops::RangeInclusive<u16> = 9876..=9899;

/// The address of an entry over HTTP, where that is ours: `/mcp` at one of our ports, or on this machine at any where the entry
/// is named after Blender, since the port can be set.
pub(super) fn url(name: &str, entry: &Value) -> Option<hyper::Uri> {
    let url = address(entry)?;
    let is_here = Endpoint::new(url.host().unwrap_or_default(), 0).is_this_machine();
    let is_named = is_here && name.to_lowercase().contains("blend");
    let is_ours = url.path().trim_end_matches('/') == "/mcp" && (is_named || PORTS.contains(&port(&url)));
    is_ours.then_some(url)
}

fn address(entry: &Value) -> Option<hyper::Uri> {
    URL_KEYS.iter().find_map(|key| entry.get(*key)?.as_str())?.trim().parse().ok()
}

/// An address without what may be a secret in it.
pub(crate) fn shown(url: &hyper::Uri) -> String {
    let (scheme, host) = (url.scheme_str().unwrap_or("http"), url.host().unwrap_or_default());
    format!("{scheme}://{host}:{}{}", port(url), url.path())
}

/// The port of an address, which says it or leaves it to its scheme.
pub(crate) fn port(url: &hyper::Uri) -> u16 {
    url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 })
}

/// The server's name, or that of its folder: one name has both words, and not two folders one each.
fn names_a_rival(word: &str) -> bool {
    word.to_lowercase().split(['/', '\\']).any(|part| part.contains("blender") && part.contains("mcp"))
}

/// What tells what an entry is, for people: its address, or the command and the name of what that starts, else the argument
/// that says most. The other arguments, and the rest of a shell's script, may be keys and passwords.
pub(super) fn line(entry: &Value) -> String {
    if let Some(url) = address(entry) {
        return shown(&url);
    }
    let words = words(entry);
    let (program, args) = words.split_first().map_or(("", &[][..]), |(program, args)| (program.as_str(), args));
    let names = Started::by(&words).names;
    let telling = names.iter().skip(1).chain(args).find(|word| names_a_rival(word)).map(|word| format!(" {word}"));
    without_credentials(&format!("{program}{}", telling.unwrap_or_default()))
}

/// A text in which addresses have no `user:password@`.
fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        // Behind the host an @ begins the name of a version.
        let end = part.find(|sign: char| sign.is_whitespace() || "/?#".contains(sign)).unwrap_or(part.len());
        let rest = part[..end].rfind('@').map_or(part, |at| &part[at + 1..]);
        format!("{shown}://{rest}")
    })
}

/// All text under `command` and `args`: Zed once had `{"command": {"path": …, "args": […]}}`.
pub(super) fn words(entry: &Value) -> Vec<String> {
    fn gather(value: &Value, words: &mut Vec<String>) {
        match value {
            Value::String(text) => words.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| gather(value, words)),
            Value::Object(map) => ["path", "command", "args"]
                .iter()
                .filter_map(|key| map.get(*key))
                .for_each(|value| gather(value, words)),
            _ => {}
        }
    }
    let mut words = Vec::new();
    gather(entry, &mut words);
    words
}

/// The environment variables that the client sets; in Zed's older form they are beside the arguments.
pub(super) fn variables(entry: &Value) -> Vec<(String, String)> {
    let older = entry.get("command").map(|command| texts(command, "env")).unwrap_or_default();
    [texts(entry, "env"), older].concat()
}

/// The texts of a table in an entry.
pub(super) fn texts(entry: &Value, key: &str) -> Vec<(String, String)> {
    let table = entry.get(key).and_then(Value::as_object).into_iter().flatten();
    table.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn servers_for_blender_are_known_by_what_is_started() {
        let rivals = [
            json!({"command": "uvx", "args": ["blender-mcp"]}),
            json!({"command": "cmd", "args": ["/c", "uvx", "mcp-for-blender@2.2.4"]}),
            json!({"command": "C:\\Tools\\blender-mcp.exe", "args": []}),
            json!({"command": "python", "args": ["C:\\BlenderMCP\\server.py"]}),
            json!({"command": "uv", "args": ["--directory", "~/src/blender_mcp", "run", "main.py"]}),
            json!({"command": "sh", "args": ["-c", "exec uvx blender-mcp-connect"]}),
            json!({"source": "custom", "command": {"path": "uvx", "args": ["blender-mcp"]}}),
            json!({"command": "uvx", "args": ["--python", "3.11", "--from=git+https://example.com/blender-mcp", "serve"]}),
            json!({"command": "npx", "args": ["-y", "@someone/blender-mcp@latest"]}),
            json!({"command": "pipx", "args": ["run", "--spec", "mcp-for-blender==2.2.4", "server"]}),
            json!({"command": "uv", "args": ["tool", "run", "blender-mcp"]}),
            json!({"command": "/usr/bin/python3.12", "args": ["-u", "-m", "blender_mcp.server"]}),
            json!({"command": "node", "args": ["/src/blender-mcp/index.js"]}),
            json!({"command": "docker", "args": ["run", "-i", "--rm", "-e", "HOST=x", "mcp/blender-mcp"]}),
            json!({"command": "bash", "args": ["-lc", "cd ~/x && uvx blender-mcp"]}),
            json!({"command": "env", "args": ["PORT=9876", "uvx", "blender-mcp"]}),
            json!({"command": "/src/blender-mcp/.venv/bin/python", "args": ["main.py"]}),
        ];
        for rival in rivals {
            assert_eq!(Kind::of("x", &rival), Kind::Rival, "{rival}");
        }
        for ours in [
            "blendwire",
            "/opt/blendwire-0.1.0",
            "/opt/blender-mcp/blendwire",
            "C:\\Program Files\\blendwire\\blendwire.exe",
        ] {
            assert_eq!(Kind::of("x", &json!({"command": ours, "args": ["mcp", "--port", "1"]})), Kind::Ours, "{ours}");
        }
        let others = [
            json!({"command": "npx", "args": ["-y", "@playwright/mcp"]}),
            json!({"command": "blender", "args": ["--background"]}),
            json!({"url": "https://example.com/mcp"}),
            json!({"command": "blendwire", "args": ["exec"]}),
            json!([]),
            // Folders, files and names that such servers are given.
            json!({"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "~/blender-mcp-assets"]}),
            json!({"command": "cmd", "args": ["/c", "npx", "-y", "server-filesystem", "C:\\blender-mcp-assets"]}),
            json!({"command": "uvx", "args": ["mcp-server-git", "--repository", "/src/blender-mcp"]}),
            json!({"command": "python", "args": ["-m", "mcp_server_sqlite", "--db-path", "blender-mcp.db"]}),
            json!({"command": "node", "args": ["notes.js", "blender mcp"]}),
            json!({"command": "docker", "args": ["run", "-v", "/src/blender-mcp:/data", "mcp/filesystem", "/data"]}),
            json!({"command": "bash", "args": ["-c", "npx server-filesystem ~/blender-mcp-assets"]}),
            json!({"command": "/opt/blender/bin/files", "args": ["--mcp"]}),
            json!({"url": "http://localhost:3845/mcp"}),
            json!({"url": "http://localhost:9876/sse"}),
        ];
        for other in others {
            assert_eq!(Kind::of("x", &other), Kind::Other, "{other}");
        }
    }

    #[test]
    fn no_argument_is_shown_that_may_be_a_secret() {
        let entry = json!({"command": "uvx", "args": ["--token", "s3cret", "blender-mcp", "--key=s3cret"]});
        assert_eq!(line(&entry), "uvx blender-mcp");
        assert_eq!(line(&json!({"command": "npx", "args": ["s3cret"]})), "npx");
        for word in [
            "--from=git+https://x-access-token:s3cret@github.com/me/blender-mcp",
            "--from=git+https://me:s3cr@et@github.com/me/blender-mcp",
        ] {
            let line = line(&json!({"command": "uvx", "args": [word, "serve"]}));
            assert_eq!(line, "uvx git+https://github.com/me/blender-mcp", "{word}");
        }
        let version = json!({"command": "uvx", "args": ["git+https://s3cret@example.com/blender-mcp@v1"]});
        assert_eq!(line(&version), "uvx git+https://example.com/blender-mcp@v1");
        let package = json!({"command": "uvx", "args": ["--with=git+https://s3cret@example.com/blender-mcp"]});
        assert_eq!(line(&package), "uvx --with=git+https://example.com/blender-mcp");
        let script = json!({"command": "sh", "args": ["-c", "export KEY=s3cret; uvx blender-mcp"]});
        assert_eq!(line(&script), "sh blender-mcp");
        assert_eq!(line(&json!(1)), "");
    }

    /// Setup would take the options of the shell for those of the server.
    #[test]
    fn a_script_with_as_many_words_as_its_entry_is_none_of_setups() {
        let script = json!({"command": "bash", "args": ["-lc", "blendwire mcp --plain"]});
        assert_eq!(Kind::of("x", &script), Kind::OursByHand);
    }

    /// Whoever follows docs/setup.md has one of these.
    #[test]
    fn every_entry_that_is_documented_is_known() {
        let document = include_str!("../../../../../docs/setup.md");
        let (_, table) = document.split_once("\n## Over HTTP\n").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let mut seen = 0;
        for entry in table.split('`').filter(|code| code.starts_with("\"blender\": {")) {
            let document: Value = serde_json::from_str(&format!("{{{entry}}}")).unwrap();
            assert_eq!(Kind::of("x", &document["blender"]), Kind::OursByHand, "{entry}");
            seen += 1;
        }
        assert_eq!(seen, 6, "Cursor, VS Code, Windsurf, Devin Desktop, Zed, Gemini CLI");
        for command in [
            "claude mcp add --scope user --transport http blender http://localhost:9876/mcp",
            "url = \"http://localhost:9876/mcp\"",
        ] {
            assert!(table.contains(command), "{command}");
        }
        let claude_code_or_codex = json!({"type": "http", "url": "http://localhost:9876/mcp"});
        assert_eq!(Kind::of("x", &claude_code_or_codex), Kind::OursByHand);

        assert!(document.contains(r#""args": ["/path/to/blendwire", "mcp"]"#));
        for wsl in [
            json!({"command": "wsl", "args": ["/path/to/blendwire", "mcp"]}),
            json!({"command": "C:\\Windows\\System32\\wsl.exe", "args": ["-d", "Ubuntu", "--", "blendwire", "mcp", "--port", "1"]}),
        ] {
            assert_eq!(Kind::of("x", &wsl), Kind::OursByHand, "{wsl}");
        }
    }

    #[test]
    fn an_address_is_ours_by_its_port_or_here_by_its_name() {
        let of = |name: &str, url: &str| Kind::of(name, &json!({"url": url}));
        for (name, url) in [
            ("x", "http://127.0.0.1:9880/mcp"),
            ("x", "https://render7.example:9876/mcp/"),
            ("blender-2", "http://localhost:12345/mcp"),
        ] {
            assert_eq!(of(name, url), Kind::OursByHand, "{url}");
        }
        for (name, url) in [
            ("x", "http://localhost:12345/mcp"),
            ("blenderkit", "https://example.com/mcp"),
            ("blender", "http://localhost:9876/sse"),
            ("blender", "no address"),
        ] {
            assert_eq!(of(name, url), Kind::Other, "{url}");
        }
        assert_eq!(
            line(&json!({"url": "https://me:s3cret@example.com/mcp?key=s3cret"})),
            "https://example.com:443/mcp"
        );
    }
}
