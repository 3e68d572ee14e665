"""The peer most people would write first: FastAPI and SQLModel on SQLite, after SQLModel's own documentation: a model
for each note, a session for each request, objects added and committed. Run by uvicorn in an environment of its own.

A note that is here already is left as it is. The database is named by the variable PEER_DATABASE and has SQLite's
defaults, so each commit is on disk before the answer.
"""

# FastAPI and SQLModel are installed where it runs, not here.
# mypy: ignore-errors

import os
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from sqlalchemy import JSON, Column
from sqlmodel import Field, Session, SQLModel, create_engine, select


class ConcernBase(SQLModel):
    id: str = Field(unique=True, index=True)
    body: dict[str, Any] = Field(sa_column=Column(JSON))


class Concern(ConcernBase, table=True):
    seq: int | None = Field(default=None, primary_key=True)


class ConcernCreate(SQLModel):
    id: str
    body: dict[str, Any]


class ConcernPublic(ConcernCreate):
    seq: int


# A writer waits for the one before it, and 16 clients write at once.
connect_args = {"check_same_thread": False, "timeout": 60}
engine = create_engine(f"sqlite:///{os.environ['PEER_DATABASE']}", connect_args=connect_args)
SQLModel.metadata.create_all(engine)


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
app = FastAPI()


@app.post("/push")
def push(notes: list[ConcernCreate], session: SessionDep) -> dict[str, int]:
    ids = [note.id for note in notes]
    known = set(session.exec(select(Concern.id).where(Concern.id.in_(ids))))
    for note in notes:
        if note.id not in known:
            session.add(Concern.model_validate(note))
    session.commit()
    return {"stored": len(notes)}


@app.get("/pull", response_model=list[ConcernPublic])
def pull(session: SessionDep, after: int = 0, limit: Annotated[int, Query(le=500)] = 500) -> list[Concern]:
    return list(session.exec(select(Concern).where(Concern.seq > after).order_by(Concern.seq).limit(limit)))
