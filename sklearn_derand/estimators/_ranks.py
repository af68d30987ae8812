"""The processes over which the rows of one fit are spread, as the parameter ``distributed`` asks for them."""

PLAIN = (str, int, float, bool, tuple, type(None))


def find_ranks(distributed):
    """Return the processes that share the rows.

    Parameters
    ----------
    distributed : {"auto", True, False}
        "auto": those of torch.distributed's default process group, where one was initialised. True: the same, and it
        must have been. False: this process has all rows.

    Returns
    -------
    Ranks

    Raises
    ------
    ValueError
        If there is no process group and there must be one.
    """
    from sklearn_derand.problems.ranks import Ranks

    if distributed is False:
        return Ranks()
    ranks = Ranks.present()
    if distributed is True and not ranks.initialised():
        raise ValueError(
            "distributed=True needs a process group: call torch.distributed.init_process_group('gloo') before fit, in "
            "a script that torchrun starts; distributed=False fits the rows of this process alone."
        )
    return ranks


def check_alike(ranks, estimator, X) -> None:
    """Refuse ranks that are not about to fit the same model to rows of the same columns.

    Parameters
    ----------
    ranks : Ranks
        Who compare.
    estimator : BaseEstimator
        Its parameters must agree, but for ``random_state``, which the first rank decides.
    X : {ndarray, sparse matrix}
        The validated rows of this rank.

    Raises
    ------
    ValueError
        On all ranks, naming what differs.
    """
    parameters = {name: value for name, value in estimator.get_params().items() if isinstance(value, PLAIN)}
    parameters["random_state"] = None
    facts = parameters | {"n_features": X.shape[1], "dtype": X.dtype.str}
    everywhere = ranks.objects(facts)
    for rank, others in enumerate(everywhere):
        for name, value in others.items():
            if value != everywhere[0].get(name):
                raise ValueError(
                    f"All ranks must fit alike, but {name} is {everywhere[0].get(name)!r} on rank 0 and {value!r} on "
                    f"rank {rank}; construct the estimator and read the data in the same way on all ranks."
                )
