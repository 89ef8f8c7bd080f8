//! Groups as the stream shows them.

use convoke_app::ports::{Groups, Jobs, Steps};
use convoke_aws::group_from_stream_image;
use convoke_domain::change::{Change, Set};
use convoke_domain::ids::{GroupId, SlotId};
use convoke_tests::embedded::EmbeddedTable;
use convoke_tests::samples::{self, NOW_MS, job, result, root, step, submission};

#[tokio::test]
async fn old_and_new_images_are_groups() {
    let embedded = EmbeddedTable::start().await;
    let key = job("acme", 1);
    let fan = samples::fan(GroupId::Fan { node: 2, part: 3 });
    embedded.table.submit(&submission(&key)).await.expect("up");
    embedded.table.put_result(&key, &result(&step("a", None, None), "n")).await.expect("up");
    embedded.table.put_group(&key, &fan).await.expect("up");
    let claim = samples::claim(GroupId::Root, SlotId(0), "n1");
    embedded.table.apply(&key, &claim).await.expect("up");
    let failed = Change::new(fan.id, "m".into(), NOW_MS).set(Set::Failed);
    embedded.table.apply(&key, &failed).await.expect("up");

    let claimed = claim.apply(&root()).expect("it holds");
    let after = failed.apply(&fan).expect("it holds");
    let seen: Vec<_> = embedded
        .stream()
        .into_iter()
        .map(|record| {
            let group = |image| {
                group_from_stream_image(image).expect("readable").map(|(job, group)| {
                    assert_eq!(job, key);
                    group
                })
            };
            (group(record.change.old_image), group(record.change.new_image))
        })
        .collect();
    let groups: Vec<_> = seen.into_iter().filter(|pair| *pair != (None, None)).collect();
    let expected =
        [(None, Some(root())), (None, Some(fan.clone())), (Some(root()), Some(claimed)), (Some(fan), Some(after))];
    assert_eq!(groups, expected);
}

#[tokio::test]
async fn an_image_of_another_version_is_an_error_and_not_a_guess() {
    let embedded = EmbeddedTable::start().await;
    embedded.table.put_group(&job("acme", 1), &root()).await.expect("put");
    let mut image = embedded.stream().remove(0).change.new_image.into_inner();
    image.insert("v".into(), serde_dynamo::AttributeValue::N("2".into()));
    let error = group_from_stream_image(image.into()).expect_err("unknown to this code");
    assert!(!error.is_retryable(), "{error}");
}
