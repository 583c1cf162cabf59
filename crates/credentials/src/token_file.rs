// SPDX-License-Identifier: GPL-3.0-or-later
//! The file with the token.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blendwire_protocol::Token;

use crate::SecretError;
use crate::secret_file::{Stamp, read, write};

/// 256 bits: nobody guesses that, however often they may try.
const RANDOM_BYTES: usize = 32;

/// A file that holds one token and perhaps a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// The file at `path`, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Changes when another token is in it.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.0)
    }

    /// The token.
    ///
    /// # Errors
    /// When there is none ([`SecretError::is_missing`]), when others could read it, when it is no token.
    pub fn read(&self) -> Result<Token, SecretError> {
        let text = read(&self.0)?;
        Token::parse(text.trim()).ok_or_else(|| SecretError::NotAToken { path: self.0.clone() })
    }

    /// The token; a new one where there was none.
    pub fn read_or_make(&self) -> Result<Token, SecretError> {
        match self.read() {
            Err(error) if error.is_missing() => self.rotate(),
            read => read,
        }
    }

    /// Replaces the token by a new one. Servers that use this file take it from then on, and no other.
    pub fn rotate(&self) -> Result<Token, SecretError> {
        let text = random()?;
        write(&self.0, &format!("{text}\n"))?;
        Token::parse(&text).ok_or_else(|| SecretError::NotAToken { path: self.0.clone() })
    }
}

/// A token that is kept nowhere.
///
/// # Errors
/// When the system gives no random numbers.
pub fn passing_token() -> Result<Token, SecretError> {
    let not_one = || SecretError::NoRandomness("what came of them is no token".to_owned());
    Token::parse(&random()?).ok_or_else(not_one)
}

fn random() -> Result<String, SecretError> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| SecretError::NoRandomness(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("made/on demand/token"));
        (folder, file)
    }

    #[test]
    fn is_made_once_and_stays_until_it_is_rotated() {
        let (_folder, file) = file();
        assert!(file.read().unwrap_err().is_missing());
        let first = file.read_or_make().unwrap();
        assert_eq!(first.expose().len(), 43);
        assert_eq!(file.read_or_make().unwrap(), first);
        let stamp = file.stamp();
        let second = file.rotate().unwrap();
        assert_ne!(second, first);
        assert_ne!(file.stamp(), stamp);
        assert_eq!(file.read().unwrap(), second);
        // As PowerShell writes it.
        write(file.path(), &format!("\u{feff}{}\r\n", second.expose())).unwrap();
        assert_eq!(file.read().unwrap(), second);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, file) = file();
        file.rotate().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file.path()), mode(file.path().parent().unwrap())), (0o600, 0o700));
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains("644"), "{error}");
    }

    #[test]
    fn what_is_no_token_is_said_to_be_none() {
        let (_folder, file) = file();
        file.rotate().unwrap();
        for text in
            ["", "\n", "short", "two words of a sentence that is long enough", "\u{fc}ber-das-hinaus-sind-es-zeichen"]
        {
            write(file.path(), text).unwrap();
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains("--rotate"), "{text:?}: {error}");
        }
    }
}
