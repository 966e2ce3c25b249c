//! What an interpreter was told to run, by its arguments.
//!
//! Must not look at files: a script may be gone.

/// The code that a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// That of its executable.
    Native,
    /// A file.
    Script(&'a [u8]),
    /// A module of Python.
    Module(&'a [u8]),
    /// Given on the command line, typed or piped in.
    Unnamed,
}

/// A command line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invocation<'a> {
    pub code: Code<'a>,
    pub language: Option<Language>,
    /// What follows the script or module; of a native program what follows its name.
    pub arguments: &'a [Vec<u8>],
}

/// A language whose interpreter is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    Node,
    Ruby,
    Perl,
    Php,
    Shell,
}

impl Language {
    /// By the name of an executable, such as `python3.11`.
    pub fn of(program: &[u8]) -> Option<Self> {
        let versionless = program.trim_ascii_end();
        let end = versionless.iter().rposition(|byte| !(byte.is_ascii_digit() || *byte == b'.'));
        Some(match &versionless[..=end?] {
            b"python" | b"pypy" => Self::Python,
            b"node" | b"nodejs" => Self::Node,
            b"ruby" => Self::Ruby,
            b"perl" => Self::Perl,
            b"php" => Self::Php,
            b"sh" | b"bash" | b"dash" | b"zsh" | b"ksh" | b"ash" => Self::Shell,
            _ => return None,
        })
    }

    /// Letters of options whose value is the next argument, where it does not follow at once.
    fn with_value(self) -> &'static [u8] {
        match self {
            Self::Python => b"WX",
            Self::Node => b"rC",
            Self::Ruby => b"rICEK",
            Self::Perl => b"I",
            Self::Php => b"dcz",
            Self::Shell => b"oO",
        }
    }

    /// Letters of options after which there is no script.
    fn inline(self) -> &'static [u8] {
        match self {
            Self::Python => b"c",
            Self::Node => b"ep",
            Self::Ruby => b"e",
            Self::Perl => b"eE",
            Self::Php => b"rSBRFE",
            Self::Shell => b"cs",
        }
    }

    /// Long options whose value is the next argument.
    fn long_with_value(self) -> &'static [&'static [u8]] {
        match self {
            Self::Python => &[b"--check-hash-based-pycs"],
            Self::Node => &[
                b"--require",
                b"--import",
                b"--loader",
                b"--experimental-loader",
                b"--conditions",
                b"--title",
            ],
            Self::Shell => &[b"--rcfile", b"--init-file"],
            _ => &[],
        }
    }

    /// Long options after which there is no script.
    fn long_inline(self) -> &'static [&'static [u8]] {
        match self {
            Self::Node => &[b"--eval", b"--print", b"--test"],
            Self::Php => &[b"--run", b"--server"],
            _ => &[],
        }
    }
}

/// The last part of a path.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

impl<'a> Invocation<'a> {
    /// `program` is the path of the executable, empty where it is not known: then the first argument has to do.
    pub fn parse(program: &[u8], command_line: &'a [Vec<u8>]) -> Self {
        let first = command_line.first().map_or(&b""[..], |first| base_name(first));
        // The name of a login shell begins with a dash.
        let named =
            if program.is_empty() { first.strip_prefix(b"-").unwrap_or(first) } else { base_name(program) };
        let rest = command_line.get(1..).unwrap_or_default();
        match Language::of(named) {
            Some(language) => Self::interpreted(language, rest),
            None => Self { code: Code::Native, language: None, arguments: rest },
        }
    }

    fn interpreted(language: Language, rest: &'a [Vec<u8>]) -> Self {
        let made = |code, from: usize| Self {
            code,
            language: Some(language),
            arguments: rest.get(from..).unwrap_or_default(),
        };
        let mut place = 0;
        while let Some(argument) = rest.get(place) {
            place += 1;
            if argument == b"--" {
                return rest
                    .get(place)
                    .map_or(made(Code::Unnamed, place), |script| made(Code::Script(script), place + 1));
            }
            if argument.first() != Some(&b'-')
                && !(language == Language::Shell && argument.first() == Some(&b'+'))
            {
                return made(Code::Script(argument), place);
            }
            if argument.len() == 1 {
                return made(Code::Unnamed, place);
            }
            if argument.starts_with(b"--") {
                if language.long_inline().contains(&argument.as_slice()) {
                    return made(Code::Unnamed, place);
                }
                place += usize::from(language.long_with_value().contains(&argument.as_slice()));
                continue;
            }
            // Letters that stand together, up to one that takes the rest as its value.
            for (at, letter) in argument.iter().enumerate().skip(1) {
                let is_last = at + 1 == argument.len();
                if language.inline().contains(letter) {
                    return made(Code::Unnamed, place);
                }
                if language == Language::Python && *letter == b'm' {
                    return match (is_last, rest.get(place)) {
                        (false, _) => made(Code::Module(&argument[at + 1..]), place),
                        (true, Some(module)) => made(Code::Module(module), place + 1),
                        (true, None) => made(Code::Unnamed, place),
                    };
                }
                if language == Language::Php && *letter == b'f' {
                    return match (is_last, rest.get(place)) {
                        (false, _) => made(Code::Script(&argument[at + 1..]), place),
                        (true, Some(script)) => made(Code::Script(script), place + 1),
                        (true, None) => made(Code::Unnamed, place),
                    };
                }
                if language.with_value().contains(letter) {
                    place += usize::from(is_last);
                    break;
                }
            }
        }
        made(Code::Unnamed, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn the_script_is_the_first_argument_that_is_no_option() {
        for (program, line, code, arguments) in [
            ("/usr/bin/python3.11", "python3 -u -X dev main.py --live", Code::Script(b"main.py"), 1),
            ("/usr/bin/python3.11", "python -Im pytest -x", Code::Module(b"pytest"), 1),
            ("/usr/bin/python3.11", "python -mpytest", Code::Module(b"pytest"), 0),
            ("/usr/bin/python3.11", "python3 -c pass a.py", Code::Unnamed, 2),
            ("/usr/bin/python3.11", "python3", Code::Unnamed, 0),
            ("/usr/bin/python3.11", "python3 - a.py", Code::Unnamed, 1),
            ("/usr/bin/python3.11", "python3 -", Code::Unnamed, 0),
            (
                "/usr/bin/node",
                "node --require ts-node/register --inspect=0 app.js 1 2",
                Code::Script(b"app.js"),
                2,
            ),
            ("/usr/bin/node", "node -e 1", Code::Unnamed, 1),
            ("/bin/bash", "-bash", Code::Unnamed, 0),
            ("/bin/bash", "bash -lc ./x", Code::Unnamed, 1),
            ("/bin/bash", "bash -x -o pipefail run.sh", Code::Script(b"run.sh"), 0),
            ("/usr/bin/perl", "perl -w -I lib x.pl", Code::Script(b"x.pl"), 0),
            ("/usr/bin/ruby", "ruby -rjson app.rb", Code::Script(b"app.rb"), 0),
            ("/usr/bin/php", "php -d a=1 -f x.php", Code::Script(b"x.php"), 0),
            ("", "/usr/bin/python3 a.py", Code::Script(b"a.py"), 0),
            ("/usr/sbin/nginx", "nginx -g x", Code::Native, 2),
            ("/usr/bin/sleep", "python3 a.py", Code::Native, 1),
            ("", "", Code::Native, 0),
        ] {
            let words = words(line);
            let found = Invocation::parse(program.as_bytes(), &words);
            assert_eq!((found.code, found.arguments.len()), (code, arguments), "{program} {line}");
        }
    }
}
