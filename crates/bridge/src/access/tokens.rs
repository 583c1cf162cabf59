// SPDX-License-Identifier: GPL-3.0-or-later
//! The token that clients must send: read from its file, and again when that has changed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use blendwire_credentials::{Folder, Stamp, TokenFile};
use blendwire_protocol::Token;

/// A rotation is noticed within this time on connections that were let in before it.
pub(crate) const LOOKED_EVERY: Duration = Duration::from_secs(1);

/// The file and what was in it.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// `None` where the system names no folder for it.
    file: Option<TokenFile>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    token: Option<Token>,
    looked: Option<Instant>,
    /// Counts the tokens that there were. A connection remembers which one let it in.
    generation: u64,
}

/// Why a client is not let in. The server's own trouble is told to it as well: somebody has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    Missing,
    Wrong,
    /// It was right, and has been replaced.
    Rotated,
    /// The server cannot read it.
    Unreadable,
}

impl NoToken {
    /// For a client that can say `hello`.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Missing => {
                "this server wants a token: send {\"type\": \"hello\", \"protocol_version\": 1, \"token\": \"…\"} \
                 first. `blendwire token` shows it on Blender's machine; give it to a client with BLENDWIRE_TOKEN"
            }
            Self::Wrong => {
                "this is not the server's token; `blendwire token` shows it on Blender's machine, run as Blender's \
                 user. Check BLENDWIRE_TOKEN: the token may have been replaced"
            }
            Self::Rotated => {
                "the server's token has been replaced; connect again with the new one, which `blendwire token` shows \
                 on Blender's machine"
            }
            Self::Unreadable => {
                "the server cannot read its own token, and lets nobody in that needs it; Blender's log says why"
            }
        }
    }
}

impl Tokens {
    /// Those of a server whose user keeps them in `folder`.
    pub(crate) fn kept_in(folder: Option<&Folder>) -> Self {
        Self { file: folder.map(Folder::token), known: Mutex::default() }
    }

    /// Makes the token when there is none yet. What is wrong with its file is logged, here and when clients come.
    pub(crate) fn prepare(&self) -> Result<(), String> {
        let Some(file) = &self.file else {
            return Err("the system names no folder for the token; set BLENDWIRE_CONFIG_DIR".to_owned());
        };
        file.read_or_make().map(drop).map_err(|error| error.to_string())
    }

    /// Whether `presented` is the token as it is now; then the generation to remember.
    pub(crate) fn check(&self, presented: Option<&Token>) -> Result<u64, NoToken> {
        let presented = presented.ok_or(NoToken::Missing)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut known);
        match &known.token {
            None => Err(NoToken::Unreadable),
            Some(token) if token == presented => Ok(known.generation),
            Some(_) => Err(NoToken::Wrong),
        }
    }

    /// Whether a client that was let in with this generation still is.
    pub(crate) fn still_holds(&self, generation: u64) -> Result<(), NoToken> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.is_none_or(|looked| looked.elapsed() >= LOOKED_EVERY) {
            self.look(&mut known);
        }
        match &known.token {
            Some(_) if known.generation == generation => Ok(()),
            Some(_) => Err(NoToken::Rotated),
            None => Err(NoToken::Unreadable),
        }
    }

    fn look(&self, known: &mut Known) {
        let is_news = known.token.is_some() || known.looked.is_none();
        known.looked = Some(Instant::now());
        let stamp = self.file.as_ref().and_then(TokenFile::stamp);
        if stamp == known.stamp && known.token.is_some() {
            return;
        }
        let read = self.file.as_ref().map(TokenFile::read);
        let token = match read {
            Some(Ok(token)) => Some(token),
            Some(Err(error)) => {
                // Once for as long as it lasts, whoever tries.
                if is_news {
                    log::error!("clients that need the token are refused: {error}");
                }
                None
            }
            None => None,
        };
        if token != known.token {
            known.generation += 1;
        }
        known.stamp = stamp;
        known.token = token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_now_is_right_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::at(folder.path());
        let tokens = Tokens::kept_in(Some(&folder));
        assert_eq!(tokens.check(Token::parse(&"x".repeat(43)).as_ref()), Err(NoToken::Unreadable));
        tokens.prepare().unwrap();
        let first = folder.token().read().unwrap();
        let generation = tokens.check(Some(&first)).unwrap();
        assert_eq!(tokens.still_holds(generation), Ok(()));
        assert_eq!(tokens.check(None), Err(NoToken::Missing));
        assert_eq!(tokens.check(Token::parse(&"x".repeat(43)).as_ref()), Err(NoToken::Wrong));
        let second = folder.token().rotate().unwrap();
        assert_eq!(tokens.check(Some(&first)), Err(NoToken::Wrong));
        assert_eq!(tokens.still_holds(generation), Err(NoToken::Rotated));
        let generation = tokens.check(Some(&second)).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let allow =
                |mode| std::fs::set_permissions(folder.token().path(), PermissionsExt::from_mode(mode)).unwrap();
            // Others may have read it meanwhile; its owner says by taking the rights back that nobody has.
            allow(0o644);
            assert_eq!(tokens.check(Some(&second)), Err(NoToken::Unreadable));
            allow(0o600);
            assert!(tokens.check(Some(&second)).is_ok());
        }
        std::fs::remove_file(folder.token().path()).unwrap();
        assert_eq!(tokens.check(Some(&second)), Err(NoToken::Unreadable));
        assert_eq!(tokens.still_holds(generation), Err(NoToken::Unreadable));
    }
}
