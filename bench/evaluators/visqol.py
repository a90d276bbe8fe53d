"""ViSQOL v3 (Chinen et al. 2020, arxiv.org/abs/2004.09584, Apache-2.0): MOS-LQO 1..5 of a reconstruction beside its original.

By the package visqol-python, whose numbers are those of Google's C++ within 1e-4 in audio mode. Two scales, two columns: audio mode at
48 kHz (support vector regression, 4.73 at best) and speech mode at 16 kHz (the deep lattice, the C++ code's default). Where its lattice
cannot be run, the package would fall back to another mapping of speech, one to two points higher; here that is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

from bench.api import UserError
from bench.evaluators.package_files import PackageFile
from bench.evaluators.packages import VISQOL
from bench.evaluators.sounds import Answer, Ask, Sound

if TYPE_CHECKING:
    from visqol import VisqolApi

Mode = Literal["audio", "speech"]
RATES: dict[Mode, int] = {"audio": 48_000, "speech": 16_000}
SVR = PackageFile(
    VISQOL,
    "visqol-python",
    "3.8.0",
    "visqol/model/libsvm_nu_svr_model.txt",
    "1e8246ed33bf36dc5c859351f7110f2cd31f98661989715c0fcf974ec48d3e2e",
)
LATTICE = PackageFile(
    VISQOL,
    "visqol-python",
    "3.8.0",
    "visqol/model/lattice_tcditugenmeetpackhref_ls2_nl60_lr12_bs2048_learn.005_ep2400_train1_7_raw.tflite",
    "4bd031d6c95594ae2cd1d471aa6611bff26b3bbf816528431ff1741bcd798dc6",
)


@lru_cache(maxsize=2)
def judge(mode: Mode) -> VisqolApi:
    """The package's object of a mode, with the file that was proven."""
    svr, lattice = (str(SVR.locate()), None) if mode == "audio" else (None, str(LATTICE.locate()))
    try:
        import numba  # without it the package works, nine times slower
        from numba.np.ufunc import parallel
        from visqol import VisqolApi

        parallel._backend_init_process_lock = nullcontext()  # for forks; a worker that is killed would leave its semaphore behind

        api = VisqolApi()
        api.create(mode, model_path=svr, use_lattice_model=lattice is not None, lattice_model_path=lattice)
    except ImportError as error:
        raise UserError(f"{VISQOL.needed} ({error}): {VISQOL.install}") from error
    numba.set_num_threads(1)  # as many processes work as there are cores
    return api


def answer(mode: Mode, sound: Sound) -> Answer:
    """The score of a clip."""
    assert sound.ref is not None
    ref, est = sound.ref.double().numpy(), sound.est.double().numpy()
    try:
        return (float(judge(mode).measure_from_arrays(ref, est, RATES[mode]).moslqo),)
    except (ValueError, IndexError) as error:  # a clip in which it finds no activity, or too little of it
        return f"visqol: {' '.join(str(error).split())}"


def ask(mode: Mode, sounds: Sequence[Sound]) -> list[Answer]:
    """The score of each."""
    return [answer(mode, sound) for sound in sounds]


def load(mode: Mode, device: str) -> Ask:
    """Works on the CPU, whatever the device; UserError where the package or what it needs is missing."""
    judge(mode)
    return partial(ask, mode)
