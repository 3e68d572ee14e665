"""What the road needs beside the database: the model, the rules and the map."""

import re
from threading import Lock, Thread

import msgspec
import structlog

from server.casework.areas import AreaHistory
from server.casework.pack import Pack, PackError, load_pack
from server.linkage.decide import Decider
from server.linkage.model import Model, ModelError, default_model
from server.linkage.names import remember
from server.linkage.splink_settings import model_from_json
from server.records import in_force, index, reference
from server.records.in_force import Kind
from server.storage.port import StorageClosed, StorageError, Store, Transaction
from sync.note import Note

log = structlog.get_logger("server.world")

GSS_CODE = re.compile(r"[A-Z][0-9]{8}")
"""What a borough looks like: a phone may send any text in its place."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What the road needs beside the database: the model, the rules and the map."""

    generation: int
    """Of the reference data that it was made from."""
    decider: Decider
    pack: Pack
    areas: AreaHistory

    def borough_of(self, note: Note, observed_at: int) -> str | None:
        """Where it was observed: by position and the boundaries of that day, else as the officer chose."""
        found = note.found_at
        if found is None:
            return None
        if found.latitude is not None and found.longitude is not None:
            borough = self.areas.borough_at(found.latitude, found.longitude, observed_at)
            if borough is not None:
                return borough
        return found.borough if found.borough and GSS_CODE.fullmatch(found.borough) else None


def model_in_force(tx: Transaction) -> Model:
    """The weights of linkage that were put in force, or those that ship. Raises ModelError where they were written for
    another release."""
    text = in_force.text(tx, Kind.MODEL)
    return model_from_json(text) if text is not None else default_model()


class Worlds:
    """The world as of the database's reference data; made anew when those change, in whatever process.

    `pack` holds until another is put in force in the database (`earlysign rules reload`), as do the weights of
    linkage that ship (`earlysign model use`); `model` (tests) always does.
    """

    def __init__(self, pack: Pack, model: Model | None = None) -> None:
        self._pack = pack
        self._in_force: tuple[str | None, Pack] = (None, pack)
        """The text of the pack that was last found in the database, and what it says."""
        self._model = model
        self._loaded: tuple[int, World] | None = None
        self._beside: Store | None = None
        self._turn = Lock()

    def load_beside(self, store: Store) -> None:
        """From now on load what changes in a thread and a read of their own, and work on with what there was.

        The names of two million children take a second to load, in which no note should wait.
        """
        self._beside = store

    def current(self, tx: Transaction) -> World:
        """The world for this transaction. One small query when nothing has changed."""
        generation = reference.generation(tx)
        loaded = self._loaded
        if loaded is not None and loaded[0] == generation:
            return loaded[1]
        if loaded is None or self._beside is None:
            return self._load(tx)
        if self._turn.acquire(blocking=False):
            Thread(
                target=self._load_in_turn, args=(self._beside,), daemon=True, name="earlysign-world"
            ).start()
        # What there was when this began, however quickly the other thread is done; but rules are small, and hold
        # from the next transaction on.
        world, pack = loaded[1], self.pack_in_force(tx)
        return world if pack is world.pack else msgspec.structs.replace(world, pack=pack)

    def _load_in_turn(self, store: Store) -> None:
        try:
            store.read_now(self._load)
        except StorageClosed:
            pass  # the server is stopping
        except StorageError as error:
            log.warning("reference data not loaded, the next note tries again", error=type(error).__name__)
        finally:
            self._turn.release()

    def _load(self, tx: Transaction) -> World:
        generation = reference.generation(tx)
        counts = index.load_frequencies(tx)
        weights = self._model or self._model_in_force(tx)
        model = weights.with_term_frequencies(counts) if counts else weights
        remember(model.term_frequencies.words)
        world = World(
            generation=generation,
            decider=Decider(model),
            pack=self.pack_in_force(tx),
            areas=AreaHistory(reference.areas(tx)),
        )
        self._loaded = (generation, world)
        return world

    def _model_in_force(self, tx: Transaction) -> Model:
        """The weights of the database, or those that ship."""
        try:
            return model_in_force(tx)
        except ModelError as error:
            log.error("model_not_loaded", error=type(error).__name__)
            return default_model()

    def pack_in_force(self, tx: Transaction) -> Pack:
        """The rules of the database, or those that the server started with.

        Every pack was checked before it was stored. One that this process cannot read was written for a newer
        release: it goes on with the rules that it has, and says so, until it is restarted.
        """
        text = in_force.text(tx, Kind.RULES)
        if text != self._in_force[0]:
            try:
                pack = load_pack(text, self._pack.force) if text is not None else self._pack
            except PackError as error:
                log.error("rules_not_loaded", error=type(error).__name__)
                pack = self._in_force[1]
            self._in_force = (text, pack)
        return self._in_force[1]
