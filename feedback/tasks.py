"""What workers and beat do for feedback; the rows are the truth, messages only nudge."""

from celery import shared_task

from feedback import freezing, labelling


@shared_task(name="feedback.expire_leases", ignore_result=True)
def expire_leases() -> None:
    """Give back the places of leases that ran out."""
    labelling.expire_leases()


@shared_task(name="feedback.record_label_batches", ignore_result=True)
def record_label_batches() -> None:
    """Enter all labels that the trails do not hold yet into them."""
    for community_id in labelling.communities_with_unrecorded_labels():
        while labelling.record_label_batch(community_id=community_id):
            pass


@shared_task(name=freezing.FREEZE_DATASET, ignore_result=True)
def freeze_dataset(dataset_id: int) -> None:
    """Freeze a queued dataset, unless another worker has it; its labels enter the trail first."""
    record_label_batches()
    freezing.build(dataset_id)


@shared_task(name="feedback.sweep_datasets", ignore_result=True)
def sweep_datasets() -> None:
    """Take up datasets whose nudge was lost or whose worker was killed."""
    freezing.sweep()
