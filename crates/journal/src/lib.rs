// SPDX-License-Identifier: GPL-3.0-or-later
//! The audit journal: every request that ran in Blender, who sent it, how it ended, and what it did outside of Blender.
//!
//! It is a folder of JSON Lines files, one set for each user. A request is one [`Begin`] line, written before it runs, and
//! one [`End`] line, so that what was running when Blender was killed can be seen afterwards. [`Journal`] writes, on a
//! thread of its own: neither Blender's main thread nor the network thread ever waits for a disk. [`Reader`] reads, also
//! while others write.
//!
//! **Each writer has files of its own**, so that several Blenders need no lock between them, on a network drive either.
//! A file that has become too long is followed by another; the least recently written ones go when all together take too
//! much.
//!
//! **Architecture invariant:** the journal never takes Blender down. What cannot be written is counted, told once, and
//! the count is written when writing works again.

mod entry;
mod folder;
mod reader;
mod record;
mod store;
mod writer;

pub use entry::{Entry, State, entries};
pub use folder::folder_in;
pub use reader::{Line, Reader};
pub use record::{Begin, By, Consented, Deed, Deeds, Dialect, End, Kind, Lost, Record};
pub use store::Limits;
pub use writer::{Health, Journal};
