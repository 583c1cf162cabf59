// SPDX-License-Identifier: GPL-3.0-or-later
//! Runs checks side by side, each when what it needs has been looked at, and none for longer than it may take.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::finding::{Finding, State};

/// What an answer may take that needs no more than this machine or a network that is not very slow.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// One thing to look at.
pub(super) struct Check<C> {
    /// Its name, for ever.
    pub(super) id: &'static str,
    /// What it looks at.
    pub(super) title: &'static str,
    /// The checks without which there is nothing to look at. They stand before this one.
    pub(super) needs: &'static [&'static str],
    /// The checks that are looked at before, whatever comes of them, since this one says more of what they met.
    pub(super) after: &'static [&'static str],
    /// What takes longer has failed.
    pub(super) deadline: Duration,
    /// Looks.
    pub(super) look: fn(&C) -> Finding,
}

/// What became of one check.
#[derive(Serialize)]
pub(super) struct Looked {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) state: State,
    pub(super) seen: String,
    pub(super) why: String,
    pub(super) remedies: Vec<String>,
    needs: &'static [&'static str],
    /// The checks whose failure left nothing to look at.
    pub(super) because: Vec<&'static str>,
    /// What was done to mend it, where that was wanted and possible.
    pub(super) fixed: Option<String>,
    took_secs: f64,
    #[serde(skip)]
    is_end: bool,
}

/// A check whose end is waited for.
struct Running<'a, C> {
    check: &'a Check<C>,
    since: Instant,
}

/// What came of a look: the finding, and what was mended before it.
type Seen = (Finding, Option<String>);

/// Runs all of `checks`, in the order in which they become possible; gives what became of them in their own order.
pub(super) fn run<C: Send + Sync + 'static>(checks: &[&Check<C>], context: &Arc<C>, fixes: bool) -> Vec<Looked> {
    let (tell, told) = mpsc::channel();
    let mut waiting: Vec<_> = checks.to_vec();
    let mut running: Vec<Running<'_, C>> = Vec::new();
    let mut done: HashMap<&str, Looked> = HashMap::new();
    while done.len() < checks.len() {
        let is_done = |id: &&str| done.contains_key(id);
        let is_ready = |check: &&Check<C>| check.needs.iter().chain(check.after).all(is_done);
        let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        waiting = later;
        for check in ready {
            match because(check, &done) {
                because if because.is_empty() => running.push(start(check, context, fixes, &tell)),
                because => drop(done.insert(check.id, not_looked_at(check, because))),
            }
        }
        if let Some((at, seen)) = next(&running, &told) {
            let Running { check, since } = running.swap_remove(at);
            done.insert(check.id, looked(check, seen, since.elapsed()));
        }
    }
    checks.iter().filter_map(|check| done.remove(check.id)).collect()
}

/// The causes for which there is nothing to look at.
fn because<C>(check: &Check<C>, done: &HashMap<&str, Looked>) -> Vec<&'static str> {
    let mut causes = Vec::new();
    for need in check.needs.iter().filter_map(|id| done.get(id)) {
        if need.is_end {
            causes.push(need.id);
        }
        causes.extend(&need.because);
    }
    causes.sort_unstable();
    causes.dedup();
    causes
}

fn start<'a, C: Send + Sync + 'static>(
    check: &'a Check<C>,
    context: &Arc<C>,
    fixes: bool,
    tell: &Sender<(&'static str, Seen)>,
) -> Running<'a, C> {
    let (id, look, context, tell) = (check.id, check.look, context.clone(), tell.clone());
    thread::spawn(move || {
        // Nobody listens any more to one that took too long.
        let _ = tell.send((id, mended(look, &context, fixes)));
    });
    Running { check, since: Instant::now() }
}

/// Looks, and where something can be mended and is to be, looks again.
fn mended<C>(look: fn(&C) -> Finding, context: &C, fixes: bool) -> Seen {
    let mut finding = caught(look, context);
    let Some(fix) = finding.fix.take_if(|_| fixes) else { return (finding, None) };
    match catch_unwind(AssertUnwindSafe(fix)) {
        Ok(Ok(what)) => (caught(look, context), Some(what)),
        Ok(Err(error)) => (finding, Some(format!("could not be mended: {error:#}"))),
        Err(_) => (finding, Some("could not be mended: a defect of Blendwire, please report it".to_owned())),
    }
}

fn caught<C>(look: fn(&C) -> Finding, context: &C) -> Finding {
    catch_unwind(AssertUnwindSafe(|| look(context))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Finding::failure(format!("this check ended with a defect of its own: {text}"), "it says nothing about Blender")
            .remedy("report it, with the output of `blendwire doctor --report`")
    })
}

/// The next that has ended or takes too long: its place among those that run. `None` when it is one that was given up.
fn next<C>(running: &[Running<'_, C>], told: &Receiver<(&'static str, Seen)>) -> Option<(usize, Seen)> {
    let ends = |running: &Running<'_, C>| running.since + running.check.deadline;
    let (first, end) = running.iter().map(ends).enumerate().min_by_key(|(_, end)| *end)?;
    match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
        Ok((id, seen)) => running.iter().position(|running| running.check.id == id).map(|at| (at, seen)),
        Err(_) => Some((first, (too_long(running[first].check.deadline), None))),
    }
}

fn too_long(deadline: Duration) -> Finding {
    Finding::failure(
        format!("no answer within {} s", deadline.as_secs_f64()),
        "something that it asked hangs: the network, a disk, or a program that it started",
    )
    .remedy("run it again; when it stays so, report it with the output of `blendwire doctor --report`")
}

fn not_looked_at<C>(check: &Check<C>, because: Vec<&'static str>) -> Looked {
    let Check { id, title, needs, .. } = check;
    Looked {
        id,
        title,
        state: State::NotLookedAt,
        seen: format!("not looked at, because of {}", because.join(" and ")),
        why: String::new(),
        remedies: Vec::new(),
        needs,
        because,
        fixed: None,
        took_secs: 0.0,
        is_end: false,
    }
}

fn looked<C>(check: &Check<C>, (finding, fixed): Seen, took: Duration) -> Looked {
    let Check { id, title, needs, .. } = check;
    let Finding { state, seen, why, remedies, is_end, fix: _ } = finding;
    let (because, took_secs) = (Vec::new(), took.as_secs_f64());
    Looked { id, title, state, seen, why, remedies, needs, because, fixed, took_secs, is_end }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn check<C>(id: &'static str, needs: &'static [&'static str], look: fn(&C) -> Finding) -> Check<C> {
        Check { id, title: "", needs, after: &[], deadline: Duration::from_mins(1), look }
    }

    fn states(looked: &[Looked]) -> Vec<(&str, State)> {
        looked.iter().map(|looked| (looked.id, looked.state)).collect()
    }

    #[test]
    fn a_failed_cause_hides_its_consequences_and_nothing_else() {
        let checks = [
            check("a", &[], |(): &()| Finding::failure("broken", "why")),
            check("b", &["a"], |()| Finding::ok("")),
            check("c", &["b"], |()| Finding::ok("")),
            check("d", &[], |()| Finding::warning("", "")),
            check("e", &["d"], |()| Finding::ok("")),
        ];
        let looked = run(&checks.iter().collect::<Vec<_>>(), &Arc::new(()), false);
        let (hidden, ok) = (State::NotLookedAt, State::Ok);
        assert_eq!(
            states(&looked),
            [("a", State::Failure), ("b", hidden), ("c", hidden), ("d", State::Warning), ("e", ok)]
        );
        assert_eq!(looked[2].because, ["a"], "the cause, and not what it hid");
    }

    #[test]
    fn what_only_comes_after_another_is_looked_at_though_that_failed() {
        let looks = |needs| Check { after: &["a"], ..check("b", needs, |(): &()| Finding::ok("")) };
        let fails = check("a", &[], |()| Finding::failure("broken", "why"));
        assert_eq!(states(&run(&[&fails, &looks(&[])], &Arc::new(()), false))[1], ("b", State::Ok));
        assert_eq!(states(&run(&[&fails, &looks(&["a"])], &Arc::new(()), false))[1], ("b", State::NotLookedAt));
    }

    #[test]
    fn one_that_panics_or_hangs_is_a_failure_and_the_others_go_on() {
        let hangs = Check {
            deadline: Duration::from_millis(50),
            ..check("hangs", &[], |(): &()| {
                loop {
                    thread::park();
                }
            })
        };
        let panics = check("panics", &[], |()| panic!("on purpose"));
        let looked = run(&[&hangs, &panics, &check("well", &[], |()| Finding::ok(""))], &Arc::new(()), false);
        assert_eq!(states(&looked), [("hangs", State::Failure), ("panics", State::Failure), ("well", State::Ok)]);
        assert!(looked[0].seen.contains("0.05 s") && looked[1].seen.contains("on purpose"), "{}", looked[1].seen);
    }

    #[test]
    fn what_is_mended_is_looked_at_again_and_only_where_that_is_wanted() {
        static IS_MENDED: AtomicBool = AtomicBool::new(false);
        let look = |(): &()| {
            if IS_MENDED.load(Ordering::SeqCst) {
                return Finding::ok("well");
            }
            Finding::failure("broken", "").fix(|| {
                IS_MENDED.store(true, Ordering::SeqCst);
                Ok("mended".to_owned())
            })
        };
        let check = check("a", &[], look);
        assert_eq!(states(&run(&[&check], &Arc::new(()), false)), [("a", State::Failure)]);
        let looked = run(&[&check], &Arc::new(()), true);
        assert_eq!((looked[0].state, looked[0].fixed.as_deref()), (State::Ok, Some("mended")));
    }
}
