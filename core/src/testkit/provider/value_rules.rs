//! Rules on single values: added, removed and kept.

use super::changes::{change, changes, value};
use super::outcome::Outcome;
use super::suite::Suite;
use crate::txt::Action;

impl Suite<'_> {
    pub(crate) async fn idempotent(&self) -> Outcome {
        let name = self.name("idempotent")?;
        for _ in 0..2 {
            self.expect(&[change(Action::Add, &name, "v")?]).await?;
            self.has_exactly(&name, &["v"]).await?;
        }
        for _ in 0..2 {
            self.expect(&[change(Action::Remove, &name, "v")?]).await?;
            self.has_exactly(&name, &[]).await?;
        }
        Ok(())
    }

    pub(crate) async fn two_values(&self) -> Outcome {
        let name = self.name("two")?;
        let both = changes(Action::Add, &name, &["apex", "wildcard"])?;
        self.expect(&both).await?;
        self.has_exactly(&name, &["apex", "wildcard"]).await?;
        self.expect(&[
            change(Action::Remove, &name, "apex")?,
            change(Action::Add, &name, "next")?,
        ])
        .await?;
        self.has_exactly(&name, &["next", "wildcard"]).await?;
        self.clear(&name, &["next", "wildcard"]).await
    }

    pub(crate) async fn last_change(&self) -> Outcome {
        let name = self.name("last")?;
        let add_and_remove = [
            change(Action::Add, &name, "a")?,
            change(Action::Remove, &name, "b")?,
            change(Action::Remove, &name, "a")?,
            change(Action::Add, &name, "b")?,
        ];
        self.expect(&add_and_remove).await?;
        self.has_exactly(&name, &["b"]).await?;
        self.clear(&name, &["b"]).await
    }

    pub(crate) async fn foreign_value(&self) -> Outcome {
        let name = self.name("foreign")?;
        self.fixture.put(&name, &value("not-ours")?).await;
        self.expect(&[change(Action::Add, &name, "ours")?]).await?;
        self.has_exactly(&name, &["ours", "not-ours"]).await?;
        self.expect(&[change(Action::Remove, &name, "ours")?])
            .await?;
        self.has_exactly(&name, &["not-ours"]).await?;
        self.clear(&name, &["not-ours"]).await
    }

    pub(crate) async fn one_of_ten(&self) -> Outcome {
        let name = self.name("ten")?;
        // Values that a comparison by beginning, end or case would confuse.
        let ten = [
            "a", "A", "aa", "a a", "ab", "ba", "a\"", "a\\", "\"a\"", "a;b",
        ];
        self.expect(&changes(Action::Add, &name, &ten)?).await?;
        self.has_exactly(&name, &ten).await?;
        for (removed, value) in ten.iter().enumerate() {
            self.expect(&[change(Action::Remove, &name, value)?])
                .await?;
            self.has_exactly(&name, &ten[removed + 1..]).await?;
        }
        Ok(())
    }

    pub(crate) async fn longest_value(&self) -> Outcome {
        let name = self.name("long")?;
        let longest = format!("{} \\\"; {}", "z".repeat(200), "w".repeat(50));
        self.expect(&[change(Action::Add, &name, &longest)?])
            .await?;
        self.has_exactly(&name, &[&longest]).await?;
        self.clear(&name, &[&longest]).await
    }

    pub(crate) async fn upper_case(&self) -> Outcome {
        let (lower, upper) = (self.name("case")?, self.name("CASE")?);
        self.expect(&[change(Action::Add, &upper, "Value")?])
            .await?;
        self.has_exactly(&lower, &["Value"]).await?;
        self.clear(&upper, &["Value"]).await
    }
}
