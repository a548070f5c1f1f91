//! Preferred chunkservers by labels (client-behaviour §1.5).

/// Terms in falling priority, each a list of label masks of which one must be contained in a
/// server's mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    terms: Vec<Vec<u32>>,
}

/// Most terms.
const TERMS_MAX: usize = 9;
/// Most alternatives of a term.
const ALTERNATIVES_MAX: usize = 4;

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// A character that does not belong there.
    #[error("unexpected '{0}' in label expression")]
    Unexpected(char),
    /// The expression ends too early.
    #[error("label expression is not complete")]
    Incomplete,
    /// More than nine terms.
    #[error("too many terms in label expression")]
    TooManyTerms,
    /// More than four alternatives in a term.
    #[error("too complicated label expression")]
    TooComplicated,
}

impl Labels {
    /// Priority of a server: 0 is the best.
    pub fn rank(&self, server: u32) -> usize {
        self.terms
            .iter()
            .position(|term| term.iter().any(|mask| server & mask == *mask))
            .unwrap_or(self.terms.len())
    }

    /// Whether there is no preference.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

impl std::str::FromStr for Labels {
    type Err = LabelsError;

    fn from_str(text: &str) -> Result<Labels, LabelsError> {
        let mut terms = Vec::new();
        for term in text.split([';', ',']) {
            let term = term.trim();
            let digits = term.len() - term.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count: usize = match &term[..digits] {
                "" => 1,
                number => number.parse().map_err(|_| LabelsError::TooManyTerms)?,
            };
            let mut parser = Parser {
                rest: term[digits..]
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .collect(),
                at: 0,
            };
            let masks = parser.sum()?;
            if let Some(unexpected) = parser.peek() {
                return Err(LabelsError::Unexpected(unexpected));
            }
            if terms.len() + count > TERMS_MAX {
                return Err(LabelsError::TooManyTerms);
            }
            terms.extend(std::iter::repeat_n(masks, count));
        }
        Ok(Labels { terms })
    }
}

struct Parser {
    rest: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Products joined by `+`, `|` or `||`.
    fn sum(&mut self) -> Result<Vec<u32>, LabelsError> {
        let mut all = self.product()?;
        loop {
            if self.take('|') {
                self.take('|');
            } else if !self.take('+') {
                return Ok(all);
            }
            all.extend(self.product()?);
            if all.len() > ALTERNATIVES_MAX {
                return Err(LabelsError::TooComplicated);
            }
        }
    }

    /// Factors behind each other, or joined by `*`, `&` or `&&`.
    fn product(&mut self) -> Result<Vec<u32>, LabelsError> {
        if self.peek() == Some('*') {
            // Any server.
            self.at += 1;
            return Ok(vec![0]);
        }
        let mut all = self.factor()?;
        loop {
            if self.take('&') {
                self.take('&');
            } else if !self.take('*')
                && !self
                    .peek()
                    .is_some_and(|c| c.is_ascii_alphabetic() || c == '(' || c == '[')
            {
                return Ok(all);
            }
            let factor = self.factor()?;
            all = all
                .iter()
                .flat_map(|left| factor.iter().map(move |right| left | right))
                .collect();
            if all.len() > ALTERNATIVES_MAX {
                return Err(LabelsError::TooComplicated);
            }
        }
    }

    fn factor(&mut self) -> Result<Vec<u32>, LabelsError> {
        let first = self.peek().ok_or(LabelsError::Incomplete)?;
        self.at += 1;
        let closing = match first {
            '(' => ')',
            '[' => ']',
            letter if letter.is_ascii_alphabetic() => {
                let bit = letter.to_ascii_uppercase() as u32 - 'A' as u32;
                return Ok(vec![1 << bit]);
            }
            other => return Err(LabelsError::Unexpected(other)),
        };
        let inner = self.sum()?;
        if self.take(closing) {
            Ok(inner)
        } else {
            Err(self
                .peek()
                .map_or(LabelsError::Incomplete, LabelsError::Unexpected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Labels, LabelsError};

    #[test]
    fn servers_are_ranked_by_the_first_term_that_fits() {
        let (a, b, c) = (1, 2, 4);
        for (text, ranks) in [
            ("A", [0, 1, 1, 0]),
            ("a;b", [0, 1, 2, 0]),
            ("A+B", [0, 0, 1, 0]),
            ("AB;C", [2, 2, 1, 0]),
            ("A&&B;[a|c]", [1, 2, 1, 0]),
            ("(A+C)*B", [1, 1, 1, 0]),
            ("B;*", [1, 0, 1, 0]),
            ("2A;C", [0, 3, 2, 0]),
        ] {
            let labels: Labels = text.parse().unwrap();
            let found = [a, b, c, a | b].map(|server| labels.rank(server));
            assert_eq!(found, ranks, "{text}");
        }
        assert_eq!(Labels::default().rank(7), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, error) in [
            ("", LabelsError::Incomplete),
            ("A;", LabelsError::Incomplete),
            ("A-B", LabelsError::Unexpected('-')),
            ("(A", LabelsError::Incomplete),
            ("(A]", LabelsError::Unexpected(']')),
            ("A+B+C+D+E", LabelsError::TooComplicated),
            ("10A", LabelsError::TooManyTerms),
        ] {
            assert_eq!(text.parse::<Labels>(), Err(error), "{text}");
        }
    }
}
