// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire render`: stills and frames of a .blend file, in a background Blender of its own.
//!
//! `plan` asks that Blender, `background`, which pictures there are to make, and `work` makes them. A picture is rendered into
//! a folder beside its place and renamed: what has the name is whole, which is all that `--resume` looks at.

mod asked_for;
mod background;
mod output;
mod plan;
mod shown;
mod work;

use anyhow::anyhow;

pub(crate) use self::asked_for::{Range, Scale, Size};
use self::background::Background;
use self::plan::Plan;
use self::work::Work;
use super::block_on;
use super::launch::asked::AskedToEnd;
use super::launch::start::blend_file;
use crate::args::RenderArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &RenderArgs) -> Ended {
    let file = blend_file(&args.file).map_err(Failure::could_not_start)?;
    let order = plan::Order::read(args, &file).map_err(Failure::could_not_start)?;
    block_on(async {
        let mut asked = AskedToEnd::listen().map_err(Failure::could_not_start)?;
        let planned = async {
            let mut blender = Background::start(args, &file).await?;
            let plan = order.plan(&mut blender).await?;
            Ok((blender, plan))
        };
        let planned = tokio::select! {
            planned = planned => planned,
            () = asked.wait() => return Err(Failure::failed(anyhow!("stopped before anything was rendered"))),
        };
        let (blender, plan) = planned.map_err(Failure::CouldNotStart)?;
        match to_do(args, &plan) {
            Ok(to_do) if to_do.is_empty() => {
                blender.end(false).await;
                printer::talk(&format!("nothing to do: {} of {0} pictures are there", plan.pictures.len()));
                Ok(())
            }
            Ok(to_do) => Work::new(args, &file, &order, &plan, to_do).run(blender, &mut asked).await,
            Err(failure) => {
                blender.end(false).await;
                Err(failure)
            }
        }
    })
}

/// The pictures that are to be made, of those that are not there or may be replaced.
fn to_do<'a>(args: &RenderArgs, plan: &'a Plan) -> Result<Vec<&'a plan::Picture>, Failure> {
    let there = plan.pictures.iter().filter(|picture| picture.is_there()).count();
    let Some(first) = plan.pictures.iter().find(|picture| picture.is_begun()) else {
        return Ok(plan.pictures.iter().collect());
    };
    if args.overwrite {
        return Ok(plan.pictures.iter().collect());
    }
    if !args.resume {
        let all = plan.pictures.len();
        return Err(Failure::could_not_start(anyhow!(
            "{} is there already ({there} of {all} pictures are): --resume leaves out what is there, --overwrite replaces it, \
             --output PATTERN goes elsewhere",
            first.shown()
        )));
    }
    if there > 0 {
        printer::talk(&format!("{there} of {} pictures are there and left out", plan.pictures.len()));
    }
    Ok(plan.pictures.iter().filter(|picture| !picture.is_there()).collect())
}
