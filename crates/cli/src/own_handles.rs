// SPDX-License-Identifier: GPL-3.0-or-later
//! On Windows a program that is started gets every handle that can be inherited, whatever it is given as its own. A Blender
//! would hold the other end of our pipes for as long as it lives, and whoever waits for the end of our output would wait for
//! that.

use std::os::windows::io::AsRawHandle as _;

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};

/// Has nobody inherit stdin, stdout and stderr. What is to share them gets copies of its own from the standard library.
pub(crate) fn keep() {
    let own = [std::io::stdin().as_raw_handle(), std::io::stdout().as_raw_handle(), std::io::stderr().as_raw_handle()];
    for handle in own {
        #[expect(unsafe_code, reason = "the standard library has no safe name for this")]
        // SAFETY: the call changes a flag of a handle and reads no memory. One that is none, or closed, is refused.
        let _ = unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0) };
    }
}
