//! What those who look after the service are told of: ops, and the lead where
//! mail comes back.

use minijinja::{Value, context};

use super::layout::Section;
use super::letter::{ComposeError, Letter, Letters, about_one};
use super::notice::Shop;
use super::scribe::Scribe;
use super::text::one_line;

/// What has happened. Times are as their readers write them; why, and the names
/// of alarms, are the program's own words.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Customers' messages are held: the clock has jumped.
    Clock {
        /// By how much.
        reason: String,
    },
    /// Customers' notices of delays are held: no import comes.
    Feed,
    /// Customers' messages are held: the database is an old one.
    Restored {
        /// When it was restored.
        at: String,
        /// When the backup was made.
        backup_at: String,
    },
    /// Customers' messages are held: too many at once.
    Surge {
        /// How many may be sent without asking.
        limit: u64,
        /// How many notices are held.
        held: u64,
    },
    /// The mail server could not be used, and can again.
    Paused {
        /// Since when.
        since: String,
        /// Until when.
        until: String,
        /// Why.
        cause: String,
    },
    /// What is wrong, and what was.
    Alarms {
        /// Alarms that last.
        lasting: Vec<LastingAlarm>,
        /// Alarms that are over.
        over: Vec<EndedAlarm>,
    },
    /// Mail comes back: there is no such address.
    AddressGone(AddressGone),
}

/// An alarm that lasts.
#[derive(Debug, Clone)]
pub struct LastingAlarm {
    /// What, in a few words.
    pub name: String,
    /// Why, and what to do.
    pub detail: String,
    /// When it was noticed.
    pub since: String,
}

/// An alarm that is over.
#[derive(Debug, Clone)]
pub struct EndedAlarm {
    /// What, in a few words.
    pub name: String,
    /// Since when it is over.
    pub ended_at: String,
}

/// An address that is gone. Of a customer it is not named.
#[derive(Debug, Clone)]
pub struct AddressGone {
    /// The message that came back.
    pub id: i64,
    /// The server's status, such as `5.1.1`.
    pub status: Option<String>,
    /// The customer, where one is known.
    pub customer_ref: Option<String>,
    /// The address, of somebody inside the shop alone.
    pub address: Option<String>,
    /// What the message told of: the kind of each, such as `claim`, and its name.
    pub told: Vec<(String, String)>,
    /// The message's subject, for one that told of nothing.
    pub message_subject: String,
}

impl Trouble {
    /// The name of the letter that tells it.
    pub fn letter_name(&self) -> &'static str {
        match self {
            Self::Clock { .. } => "ops_clock",
            Self::Feed => "ops_feed",
            Self::Restored { .. } => "ops_restored",
            Self::Surge { .. } => "ops_surge",
            Self::Paused { .. } => "ops_paused",
            Self::Alarms { .. } => "ops_alarms",
            Self::AddressGone(_) => "address_gone",
        }
    }

    /// Times and names are kept in one line.
    fn values(&self, scribe: &Scribe<'_>) -> Value {
        match self {
            Self::Clock { reason } => context! { reason => one_line(reason) },
            Self::Feed => context! {},
            Self::Restored { at, backup_at } => {
                context! { at => scribe.name(at), backup_at => scribe.name(backup_at) }
            }
            Self::Surge { limit, held } => context! { limit, held },
            Self::Paused {
                since,
                until,
                cause,
            } => context! {
                since => scribe.name(since),
                until => scribe.name(until),
                cause => one_line(cause),
            },
            Self::Alarms { lasting, over } => {
                let lasting = lasting.iter().map(|alarm| {
                    context! {
                        name => one_line(&alarm.name),
                        detail => one_line(&alarm.detail),
                        since => scribe.name(&alarm.since),
                    }
                });
                let over = over.iter().map(|alarm| {
                    context! {
                        name => one_line(&alarm.name),
                        ended_at => scribe.name(&alarm.ended_at),
                    }
                });
                context! {
                    lasting => Value::from_iter(lasting),
                    over => Value::from_iter(over),
                }
            }
            Self::AddressGone(gone) => gone.values(scribe),
        }
    }
}

impl AddressGone {
    fn values(&self, scribe: &Scribe<'_>) -> Value {
        let told = self.told.iter().map(|(subject, subject_ref)| {
            context! { subject, subject_ref => scribe.name(subject_ref) }
        });
        context! {
            id => self.id,
            status => &self.status,
            customer_ref => self.customer_ref.as_deref().map(|name| scribe.name(name)),
            address => self.address.as_deref().map(one_line),
            told => Value::from_iter(told),
            message_subject => one_line(&self.message_subject),
        }
    }
}

impl Letters {
    /// What has happened and what to do, a line each, in the shop's locale.
    pub fn trouble(&self, shop: &Shop, trouble: &Trouble) -> Result<Letter, ComposeError> {
        let scribe = self.scribe(&shop.locale, shop);
        let (title, mut paragraphs) =
            scribe.letter(trouble.letter_name(), &trouble.values(&scribe))?;
        // By the habit of these templates: the first one says what the others are.
        let lines = paragraphs.split_off(paragraphs.len().min(1));
        let section = Section {
            title,
            paragraphs,
            lines,
            ..Section::default()
        };
        about_one(&scribe, section)
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter_tests::{letters, shop};
    use super::super::locale_tests::unescaped;
    use super::super::{ToShop, samples};
    use super::*;

    /// What is given must be told, in both parts.
    fn given(trouble: &Trouble) -> Vec<String> {
        match trouble {
            Trouble::Clock { reason } => vec![reason.clone()],
            Trouble::Feed => Vec::new(),
            Trouble::Restored { at, backup_at } => vec![at.clone(), backup_at.clone()],
            Trouble::Surge { limit, held } => vec![limit.to_string(), held.to_string()],
            Trouble::Paused {
                since,
                until,
                cause,
            } => vec![since.clone(), until.clone(), cause.clone()],
            Trouble::Alarms { lasting, over } => {
                let lasting = lasting.iter();
                let lasting = lasting.flat_map(|alarm| {
                    [&alarm.name, &alarm.since, &alarm.detail].map(|text| plain(text))
                });
                let over = over.iter();
                let over =
                    over.flat_map(|alarm| [&alarm.name, &alarm.ended_at].map(|text| plain(text)));
                lasting.chain(over).collect()
            }
            Trouble::AddressGone(gone) => {
                let told = gone.told.iter().map(|(_, name)| name.clone());
                let known = [&gone.status, &gone.customer_ref, &gone.address];
                let mut known = known.into_iter().flatten().cloned().collect::<Vec<_>>();
                if gone.address.is_some() {
                    known.retain(|one| Some(one) != gone.customer_ref.as_ref());
                }
                known.extend(gone.told.is_empty().then(|| gone.message_subject.clone()));
                known.extend(told);
                known.push(gone.id.to_string());
                known
            }
        }
    }

    /// As it is read: without the marks of a command.
    fn plain(text: &str) -> String {
        text.replace('`', "")
    }

    #[test]
    fn all_that_is_known_is_told_in_the_shop_s_language() {
        for (locale, greeting) in [("en", "Hello,"), ("vi", "Xin chào,")] {
            let shop = Shop {
                locale: locale.into(),
                ..shop()
            };
            let mut names = std::collections::BTreeSet::new();
            for sample in samples(locale) {
                let Some(ToShop::Trouble(trouble)) = &sample.to_shop else {
                    continue;
                };
                names.insert(sample.letter);
                let letter = letters().trouble(&shop, trouble).unwrap();
                assert!(letter.text.starts_with(greeting), "{}", letter.text);
                let text = [&letter.subject, " ", &letter.text].concat();
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let html = super::super::unbroken::read(&letter.html);
                let html = unescaped(&html.replace("<code>", "").replace("</code>", ""));
                for known in given(trouble) {
                    for part in [&plain(&text), &html] {
                        assert!(part.contains(&known), "{locale} {known}\n{part}");
                    }
                }
            }
            assert_eq!(names.len(), 7, "{locale}");
        }
    }
}
