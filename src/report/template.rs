//! The pages' templates, and the style that they share.

use std::io;

use minijinja::{Environment, UndefinedBehavior, Value};

const STYLE: &str = include_str!("../../templates/report/style.css");

/// Renders a page. What the template names and `values` do not have is an error.
pub(super) fn render(template: &str, values: impl Into<Value>) -> io::Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let rendered = environment
        .add_template("style.css", STYLE)
        .and_then(|()| environment.render_named_str("page.html", template, values));
    // The last line end of a template is not part of it.
    rendered.map(|text| text + "\n").map_err(io::Error::other)
}
