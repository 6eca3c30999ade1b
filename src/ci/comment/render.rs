//! Rendering the comment within a platform's limit.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderErrorReason,
};

use super::{CommentInput, CommentView};
use crate::ci::markdown;

/// The comment as it comes with the tool.
const BUILT_IN: &str = include_str!("../../../templates/comment.md.hbs");

/// Limits of the rows per list, tried in this order until the text fits. Without rows there are
/// still the counts.
const ROWS: [usize; 8] = [500, 200, 100, 50, 25, 10, 3, 0];

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CommentError {
    #[error("the comment template cannot be read: {0}")]
    Template(Box<handlebars::TemplateError>),
    #[error("the comment template cannot be rendered: {0}")]
    Render(#[from] Box<handlebars::RenderError>),
    /// A template that writes more than the limit even without rows.
    #[error("the comment has {length} characters without any rows, and the limit is {limit}")]
    TooLong { length: usize, limit: usize },
}

/// The maximum length of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// In UTF-16 units, the strictest way to count the platforms' characters.
    Characters(usize),
    /// For files.
    Bytes(usize),
}

impl Limit {
    fn measure(self, text: &str) -> (usize, usize) {
        match self {
            Self::Characters(limit) => (text.encode_utf16().count(), limit),
            Self::Bytes(limit) => (text.len(), limit),
        }
    }
}

/// A rendered comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub markdown: String,
    /// Rows were left out; the step's summary has room for them.
    pub shortened: bool,
}

/// The template that renders a [`CommentView`] as Markdown.
///
/// `{{value}}` escapes; `{{prose value}}` escapes all but code between backticks; `{{code value}}`
/// shows code, `{{pre lines}}` a list of lines as they are; `{{link text url}}` and `{{code_link
/// text url}}` link where there is a web address.
#[derive(Debug)]
pub struct CommentTemplate {
    registry: Handlebars<'static>,
}

/// The helpers that write a text.
const TEXT_HELPERS: [TextHelper; 4] = [
    TextHelper { name: "code", markdown: markdown::code, linked: false },
    TextHelper { name: "prose", markdown: markdown::prose, linked: false },
    TextHelper { name: "link", markdown: markdown::escape, linked: true },
    TextHelper { name: "code_link", markdown: markdown::code, linked: true },
];

/// The template's name in the registry and in its errors.
const NAME: &str = "comment";

impl CommentTemplate {
    /// The template that comes with the tool.
    pub fn built_in() -> Result<Self, CommentError> {
        Self::new(BUILT_IN)
    }

    /// A template of the user's own.
    pub fn new(source: &str) -> Result<Self, CommentError> {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(markdown::escape);
        for helper in TEXT_HELPERS {
            registry.register_helper(helper.name, Box::new(helper));
        }
        registry.register_helper("pre", Box::new(pre));
        registry
            .register_template_string(NAME, source)
            .map_err(|error| CommentError::Template(Box::new(error)))?;
        Ok(Self { registry })
    }

    /// The comment with as many rows as fit.
    pub fn render(&self, input: &CommentInput<'_>, limit: Limit) -> Result<Rendered, CommentError> {
        let (mut length, mut most) = (0, 0);
        for rows in ROWS {
            let view = CommentView::new(input, rows);
            let markdown = self.registry.render(NAME, &view).map_err(Box::new)?;
            (length, most) = limit.measure(&markdown);
            if length <= most {
                return Ok(Rendered { markdown, shortened: view.shortened });
            }
        }
        Err(CommentError::TooLong { length, limit: most })
    }
}

/// A helper's parameter as text; nothing for null.
fn parameter<'a>(
    helper: &'a Helper<'_>,
    index: usize,
    name: &'static str,
) -> Result<Option<&'a str>, RenderErrorReason> {
    let value = helper.param(index).ok_or(RenderErrorReason::ParamNotFoundForIndex(name, index))?.value();
    match value {
        serde_json::Value::Null => Ok(None),
        value => value.as_str().map(Some).ok_or_else(|| RenderErrorReason::InvalidParamType("string")),
    }
}

/// A helper that writes its first parameter, as a link to its second where it is `linked`.
struct TextHelper {
    name: &'static str,
    markdown: fn(&str) -> String,
    linked: bool,
}

impl HelperDef for TextHelper {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let text = (self.markdown)(parameter(helper, 0, self.name)?.unwrap_or_default());
        if self.linked {
            out.write(&markdown::link(&text, parameter(helper, 1, self.name)?.unwrap_or_default()))?;
        } else {
            out.write(&text)?;
        }
        Ok(())
    }
}

fn pre(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let lines = helper.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("pre", 0))?.value();
    let lines = lines.as_array().ok_or_else(|| RenderErrorReason::InvalidParamType("array"))?;
    let lines: Vec<_> = lines.iter().filter_map(serde_json::Value::as_str).collect();
    out.write(&markdown::pre(&lines))?;
    Ok(())
}
