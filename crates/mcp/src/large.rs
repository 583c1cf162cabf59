// SPDX-License-Identifier: GPL-3.0-or-later
//! Results that are too large for one answer: kept here, and read in pages as a resource. Nothing is cut off.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde_json::{Value, json};

/// Longest result that goes out as it is, in bytes of JSON: about 25,000 tokens, beyond which some clients cut.
pub(crate) const DEFAULT_LIMIT_BYTES: usize = 100_000;

/// Bytes of one page.
const PAGE_BYTES: usize = 50_000;

/// Results that are kept, of all clients; the oldest go first.
const MOST_KEPT: usize = 256;

/// And their bytes, the newest aside.
const MOST_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// Results that are listed, the newest: who wants an older one has its address.
const MOST_LISTED: usize = 16;

/// What of it goes out at once.
const BEGINNING_BYTES: usize = 1000;

/// How the addresses of results begin.
const ADDRESS: &str = "blender://result/";

/// A page is a piece of a text: what is JSON as a whole is none in pieces.
pub(crate) const PAGE: &str = "text/plain";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LargeResults {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    count: u64,
    results: VecDeque<(u64, Arc<str>)>,
}

impl LargeResults {
    /// `result`, or what stands for it where its JSON, or the text of an error, is longer than `limit_bytes`.
    pub(crate) fn fit(&self, mut result: CallToolResult, limit_bytes: usize) -> CallToolResult {
        let Some(value) = &result.structured_content else {
            result.content.iter_mut().for_each(|block| self.fit_text(block, limit_bytes));
            return result;
        };
        let text = value.to_string();
        if text.len() <= limit_bytes {
            return result;
        }
        let (number, told) = self.in_pages(
            text,
            "read the pages as resources, or ask for less; max_result_bytes of execute_blender_code sets the limit",
        );
        let link = Resource::new(format!("{ADDRESS}{number}/1"), format!("result {number}")).with_mime_type(PAGE);
        let mut shown = CallToolResult::structured(told);
        shown.content.push(ContentBlock::resource_link(link));
        shown
    }

    /// `text` as a resource has it, or what stands for it where it is longer than one answer.
    pub(crate) fn fit_resource(&self, text: String) -> Result<String, Value> {
        if text.len() <= DEFAULT_LIMIT_BYTES {
            return Ok(text);
        }
        Err(self.in_pages(text, "read the pages as resources; a tool for the same may give less of it").1)
    }

    /// Keeps it; its number, and what is told in its place.
    fn in_pages(&self, text: String, next: &str) -> (u64, Value) {
        let (bytes, pages) = (text.len(), pages(&text).len());
        let beginning = text[..text.floor_char_boundary(BEGINNING_BYTES)].to_owned();
        let number = self.keep(text);
        let told = json!({
            "status": "ok",
            "too_large": {
                "bytes": bytes,
                "pages": pages,
                "first_page": format!("{ADDRESS}{number}/1"),
                "beginning": beginning,
                "next": next,
            },
        });
        (number, told)
    }

    /// Puts in the place of a long text where it is, how it begins, and how it ends: a traceback's last line says most.
    fn fit_text(&self, block: &mut ContentBlock, limit_bytes: usize) {
        let Some(text) = block.as_text().map(|block| block.text.as_str()).filter(|text| text.len() > limit_bytes)
        else {
            return;
        };
        let (bytes, pages) = (text.len(), pages(text).len());
        let beginning = &text[..text.floor_char_boundary(BEGINNING_BYTES)];
        let end = &text[text.ceil_char_boundary(bytes - BEGINNING_BYTES.min(bytes))..];
        let number = self.keep(text.to_owned());
        *block = ContentBlock::text(format!(
            "{beginning}\n\n… This text has {bytes} bytes: all of it is in {pages} pages, {ADDRESS}{number}/1 and on, which can be \
             read as resources. It ends with: …\n\n{end}"
        ));
    }

    /// The page at this address; `None` when it is no address of a result.
    ///
    /// # Errors
    /// When there is no such page (any more), in words for the model.
    pub(crate) fn read(&self, uri: &str) -> Option<Result<String, String>> {
        let (number, page) = uri.strip_prefix(ADDRESS)?.split_once('/')?;
        let (number, page): (u64, usize) = (number.parse().ok()?, page.parse().ok()?);
        let text = self.kept().results.iter().find(|(kept, _)| *kept == number).map(|(_, text)| text.clone());
        let Some(text) = text else {
            return Some(Err(format!("result {number} is not kept any more: run the tool again")));
        };
        let pages = pages(&text);
        let found = page.checked_sub(1).and_then(|index| pages.get(index));
        Some(
            found
                .map(|page| (*page).to_owned())
                .ok_or_else(|| format!("result {number} has pages 1 to {}", pages.len())),
        )
    }

    /// Addresses of the first pages, with their bytes.
    pub(crate) fn list(&self) -> Vec<Resource> {
        let describe = |(number, text): &(u64, Arc<str>)| {
            let pages = pages(text).len();
            Resource::new(format!("{ADDRESS}{number}/1"), format!("result {number}"))
                .with_description(format!("A large result, page 1 of {pages}"))
                .with_mime_type(PAGE)
        };
        let kept = self.kept();
        kept.results.iter().skip(kept.results.len().saturating_sub(MOST_LISTED)).map(describe).collect()
    }

    fn keep(&self, text: String) -> u64 {
        let mut kept = self.kept();
        // A job that is asked for again answers the same, under the same address, as if it were new.
        let known = kept.results.iter().position(|(_, known)| **known == *text);
        if let Some(result) = known.and_then(|at| kept.results.remove(at)) {
            let number = result.0;
            kept.results.push_back(result);
            return number;
        }
        let bytes = |kept: &Kept| kept.results.iter().map(|(_, text)| text.len()).sum::<usize>();
        while kept.results.len() >= MOST_KEPT || bytes(&kept) > MOST_KEPT_BYTES {
            kept.results.pop_front();
        }
        kept.count += 1;
        let number = kept.count;
        kept.results.push_back((number, text.into()));
        number
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `text` in pages that end between characters.
fn pages(text: &str) -> Vec<&str> {
    let mut pages = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (page, after) = rest.split_at(rest.floor_char_boundary(PAGE_BYTES));
        pages.push(page);
        rest = after;
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_together_are_the_result() {
        let results = LargeResults::default();
        let value = json!({"text": "ü€x".repeat(60_000)});
        let shown = results.fit(CallToolResult::structured(value.clone()), DEFAULT_LIMIT_BYTES);
        let told = shown.structured_content.unwrap();
        let count = told["too_large"]["pages"].as_u64().unwrap();
        let text: String =
            (1..=count).map(|page| results.read(&format!("blender://result/1/{page}")).unwrap().unwrap()).collect();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert!(count > 5 && told["too_large"]["bytes"] == text.len());
        let beyond = results.read(&format!("blender://result/1/{}", count + 1)).unwrap().unwrap_err();
        assert!(beyond.contains(&format!("1 to {count}")), "{beyond}");
        assert!(results.read("blender://scene").is_none());
    }

    #[test]
    fn a_long_text_is_shown_by_its_ends() {
        let results = LargeResults::default();
        let text = format!("Traceback {}ValueError: why", "ü".repeat(100_000));
        let shown = results.fit(CallToolResult::error(vec![ContentBlock::text(text.clone())]), DEFAULT_LIMIT_BYTES);
        let told = shown.content[0].as_text().unwrap().text.clone();
        assert!(told.starts_with("Traceback ü") && told.ends_with("üValueError: why") && told.len() < 3000, "{told}");
        assert!(told.contains(&format!("{} bytes", text.len())) && shown.is_error == Some(true));
        let read: String =
            (1..=5).map_while(|page| results.read(&format!("blender://result/1/{page}")).unwrap().ok()).collect();
        assert_eq!(read, text);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let is_kept = |results: &LargeResults, number: usize| {
            results.read(&format!("blender://result/{number}/1")).unwrap().is_ok()
        };
        let keep = |results: &LargeResults, bytes: usize, number: usize| {
            results.fit(CallToolResult::structured(json!({"text": "x".repeat(bytes), "number": number})), 1000);
        };
        let results = LargeResults::default();
        (1..=MOST_KEPT + 1).for_each(|number| keep(&results, 2000, number));
        assert!(!is_kept(&results, 1) && is_kept(&results, 2) && is_kept(&results, MOST_KEPT + 1));
        assert_eq!(results.list().len(), MOST_LISTED);
        let gone = results.read("blender://result/1/1").unwrap().unwrap_err();
        assert!(gone.contains("not kept any more"), "{gone}");

        let results = LargeResults::default();
        (1..=4).for_each(|number| keep(&results, MOST_KEPT_BYTES / 2, number));
        assert!(!is_kept(&results, 2) && is_kept(&results, 3) && is_kept(&results, 4));
    }

    #[test]
    fn what_is_told_again_is_kept_once() {
        let results = LargeResults::default();
        let value = json!({"text": "x".repeat(200_000)});
        let told = |value: &Value| results.fit(CallToolResult::structured(value.clone()), 1000).structured_content;
        assert_eq!(told(&value), told(&value));
        assert_eq!(results.list().len(), 1);
    }

    #[test]
    fn a_small_result_goes_as_it_is() {
        let result = CallToolResult::structured(json!({"a": 1}));
        assert_eq!(LargeResults::default().fit(result.clone(), 1000).structured_content, result.structured_content);
    }
}
