"""What to type about an error: lower layers raise facts, and only the command line knows its flags."""

from collections.abc import Callable
from typing import Any

from spyctl import errors
from spyctl.errors import SpyctlError

RAISE_LIMITS = "raise the account's limits on the server, or another account"
# The remedy of a type of error, made of its facts; an error that is not listed brings its own.
REMEDIES: dict[type[SpyctlError], Callable[[Any], str]] = {
    # data files
    errors.NoDataFolderError: lambda _: "--data-dir DIR, or spyctl sample to write a synthetic day there",
    errors.NothingPlayableError: lambda error: (
        "--data-dir DIR, or spyctl sample to write a synthetic day there"
        if len(error.reasons) <= 3
        else "spyctl discover lists them all"
    ),
    errors.NoSuchDataError: lambda _: "spyctl discover lists what there is",
    errors.UnknownDatasetError: lambda error: f"--dataset {' or '.join(error.held)}",
    errors.MissingDaysError: lambda error: (
        f"spyctl discover, or spyctl sample --date {error.days[0]} for a synthetic day"
    ),
    errors.UnknownSymbolError: lambda _: "spyctl discover -v shows all symbols",
    errors.UnknownSchemaError: lambda _: "--schema trades, or --schema mbp-10",
    errors.NoSessionError: lambda _: "a day with a session, or a time of day: --start 18:00",
    errors.ReversedRangeError: lambda error: f"--date {error.last}..{error.first}",
    errors.MixedFilesError: lambda _: "keep synthetic days in a folder of their own, --data-dir DIR",
    errors.SeveralDatasetsError: lambda error: f"--dataset {error.datasets[0]}",
    errors.MergeLimitError: lambda _: "--reorder-window 100ms, or --order recv",
    # fetching them
    errors.SyntheticFolderError: lambda _: "--data-dir DIR for a folder of its own",
    errors.PendingJobError: lambda error: f"spyctl fetch --batch --date {error.first}..{error.last} first",
    errors.RefusedRequestError: lambda _: "check --symbol, --dataset and --date",
    errors.UnreachableGatewayError: lambda _: "check network, proxy and --gateway",
    errors.GatewayError: lambda _: "check --gateway and DATABENTO_API_KEY",
    errors.BrokenDownloadError: lambda _: "the same command again, or --batch, which continues where it stopped",
    # NATS
    errors.AddressError: lambda _: "--metrics 9464, or --metrics 0.0.0.0:9464",
    errors.FastIngestUnavailableError: lambda _: "--ack auto",
    errors.IncompleteTlsError: lambda _: "--tls-cert and --tls-key",
    errors.ResumeError: lambda _: "leave --resume out to play it again",
    errors.NoRunError: lambda error: (
        "spyctl runs lists them, or leave --resume out to begin one"
        if error.run_id
        else "leave --resume out to begin one"
    ),
    errors.OtherRunError: lambda _: "the same files and options, or leave --resume out",
    errors.UnreachableRestError: lambda _: "check network, proxy and --rest-url",
    errors.NoServerError: lambda _: "start one, or name none (--nats-url, NATS_URL) to use the embedded server",
    errors.NoServerNamedError: lambda _: "--nats-url URL, or --embedded",
    errors.NotNatsError: lambda _: "--nats-url names another server, --embedded uses our own",
    errors.TlsError: lambda _: "--tls-ca FILE, --tls-cert and --tls-key",
    errors.AccessDeniedError: lambda _: "--creds, --nkey, --user and --password-file, or --context",
    errors.AccountLimitError: lambda _: RAISE_LIMITS,
    errors.NoSpaceError: lambda error: (
        error.remedy or "free some: nats stream purge, or spyctl server reset for the embedded server"
    ),
    errors.OverlappingStreamError: lambda _: "--prefix NAME publishes under subjects of its own",
    errors.OtherSourceError: lambda _: "--prefix NAME keeps them apart, --force mixes them",
    errors.KeyInUseError: lambda _: "end it first, use another key, or --force to take over from it",
    errors.LeaseHeldError: lambda _: "wait for it, --prefix NAME to publish beside it, or --force to take over from it",
    errors.EmbeddedServerError: lambda error: f"{error.remedy}, or name a server with --nats-url",
}


def remedy_for(error: SpyctlError, *, after_loss: str = "") -> str:
    """Return what to do about an error, as a user of the command line types it; empty where nobody knows.

    ``after_loss`` is what helps a run that has lost track of what is stored, where that depends on the run.
    """
    if after_loss and isinstance(error, errors.LostTrackError):
        return after_loss
    for kind in type(error).__mro__:
        if kind in REMEDIES:
            return REMEDIES[kind](error)
    return error.remedy
