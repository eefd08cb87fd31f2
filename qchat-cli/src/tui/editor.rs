//! The user's own editor: what is written goes into a file for its owner alone, in memory where there is a place for that, which is
//! gone as soon as the editor is.

use std::{env, fs, io, path::PathBuf, process::Command};

/// Has somebody write in their editor (`VISUAL`, else `EDITOR`, else vi). `None` when nothing was changed.
pub(super) fn write(text: &str) -> Result<Option<String>, String> {
    let words = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()));
    edit(text, &words.unwrap_or_else(|| "vi".to_owned()))
}

fn edit(text: &str, editor: &str) -> Result<Option<String>, String> {
    let words = shell_words::split(editor)
        .map_err(|error| format!("the editor {editor:?} makes no sense: {error}"))?;
    let (program, arguments) = words.split_first().ok_or("no editor is named")?;
    let failed = |error: io::Error| format!("what is written cannot be given to an editor: {error}");
    let directory = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    let directory = directory.unwrap_or_else(env::temp_dir);
    let file =
        tempfile::Builder::new().prefix("qchat-").suffix(".md").tempfile_in(directory).map_err(failed)?;
    fs::write(file.path(), text).map_err(failed)?;
    let status = Command::new(program).args(arguments).arg(file.path()).status().map_err(|error| {
        format!("the editor {program:?} does not start: {error}; set EDITOR to one that does")
    })?;
    if !status.success() {
        return Err(format!("the editor has failed ({status}); the text is as it was"));
    }
    let written = fs::read_to_string(file.path()).map_err(failed)?;
    let written = written.strip_suffix('\n').unwrap_or(&written);
    Ok((written != text).then(|| written.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_gets_the_text_and_gives_another_back() {
        assert_eq!(edit("one", "true"), Ok(None));
        assert_eq!(edit("one", "sh -c 'printf \"two\\n\" >> \"$1\"' sh"), Ok(Some("onetwo".to_owned())));
        for (editor, word) in
            [("false", "has failed"), ("/no/such/editor", "does not start"), ("'", "makes no sense")]
        {
            assert!(edit("one", editor).unwrap_err().contains(word), "{editor}");
        }
    }
}
