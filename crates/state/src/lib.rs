// SPDX-License-Identifier: GPL-3.0-or-later
//! What Blendwire keeps between starts, and which of its servers run: the user's state folder.
//!
//! Server and command line both use it, so that what one writes the other finds. [`Instances`] is the part of it that
//! tells of running servers; the audit journal is another and has a crate of its own. `fault` is here because all who have a
//! task or thread that may panic use this crate.
//!
//! **Architecture invariant:** nothing here waits, for a lock or for another process.

mod fault;
mod folder;
mod held;
mod instances;
mod private;

pub use fault::fault;
pub use folder::{STATE_DIR, folder};
pub use instances::{Announced, Found, Instances, machine};
pub use private::{make_folder, open_to_others, put};
