"""Who signed a commit, judged by a file of the operator's and by nothing that the repository says.

Only signatures with ssh keys are judged: ``ssh-keygen`` checks them against one file, without a key ring or an agent. A
key is judged at the commit's own time, so what was signed before a key expired stays signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from framework.api.errors import ConfigurationError
from framework.backends.git.process import Access, Completed, Git
from framework.ports import Signature

_GOOD = re.compile(r'Good "git" signature for (?P<signer>.+) with (?P<key>\S+ key \S+)')
_UNKNOWN = re.compile(r'Good "git" signature with (?P<key>\S+ key \S+)')
_HEADER = re.compile(rb"^gpgsig(?:-sha256)? -----BEGIN ([A-Z ]+)-----", re.MULTILINE)
_SSH = b"SSH SIGNATURE"


@dataclass(frozen=True)
class Signers:
    """``allowed`` is a file in the format of ssh-keygen's ALLOWED SIGNERS; None: nobody is trusted."""

    allowed: Path | None

    def check(self, git: Git, commit: str) -> Signature:
        """Judge a commit that exists.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        header = git.run("cat-file", "commit", commit).output.partition(b"\n\n")[0]
        found = _HEADER.search(header)
        if found is None:
            return Signature(trusted=False, problem="is not signed")
        if found[1] != _SSH:
            kind = "OpenPGP" if b"PGP" in found[1] else "X.509"
            return Signature(trusted=False, problem=f"is signed with {kind}; only signatures with ssh keys are checked")
        if self.allowed is None:
            return Signature(trusted=False, problem="is signed, but no allowed signers are set to compare with")
        if not self.allowed.is_file():
            raise ConfigurationError(f"the allowed signers cannot be read: there is no file {self.allowed}")
        return _judged(git.run("verify-commit", "--raw", commit, access=_only(self.allowed)))


def _only(allowed: Path) -> Access:
    """Everything that a repository's own config could put in the way of the operator's file."""
    return Access(
        settings={
            "gpg.ssh.allowedSignersFile": str(allowed),
            "gpg.ssh.revocationFile": "",
            "gpg.ssh.program": "ssh-keygen",
            "gpg.program": "false",
            "gpg.openpgp.program": "false",
            "gpg.x509.program": "false",
            "gpg.minTrustLevel": "fully",
        }
    )


def _judged(answer: Completed) -> Signature:
    good = _GOOD.search(answer.complaint)
    if answer.status == 0 and good is not None:
        return Signature(trusted=True, signer=good["signer"])
    unknown = _UNKNOWN.search(answer.complaint)
    if unknown is not None:
        problem = f"is signed with the {unknown['key']}, which is nobody's among the allowed signers at its time"
        return Signature(trusted=False, problem=problem)
    return Signature(trusted=False, problem=f"has a signature that does not hold: {_last(answer.complaint)}")


def _last(complaint: str) -> str:
    lines = complaint.splitlines()
    return lines[-1] if lines else "no reason given"
