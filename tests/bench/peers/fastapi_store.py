"""The peer most people would write first: FastAPI and SQLModel on SQLite. Run by uvicorn in an environment of its own.

Its database is named by the variable PEER_DATABASE; SQLite's defaults, so it is on disk before it answers.
"""

# FastAPI and SQLModel are installed where it runs, not here.
# mypy: ignore-errors

import os
from typing import Any

from fastapi import FastAPI
from sqlalchemy import JSON, Column, create_engine
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Field, Session, SQLModel, select


class Concern(SQLModel, table=True):
    seq: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    body: dict[str, Any] = Field(sa_column=Column(JSON))


class Sent(SQLModel):
    id: str
    body: dict[str, Any]


engine = create_engine(f"sqlite:///{os.environ['PEER_DATABASE']}", connect_args={"timeout": 60})
SQLModel.metadata.create_all(engine)
app = FastAPI()


@app.post("/push")
def push(notes: list[Sent]) -> dict[str, int]:
    with Session(engine) as session:
        rows = [note.model_dump() for note in notes]
        session.execute(insert(Concern).values(rows).on_conflict_do_nothing(index_elements=["id"]))
        session.commit()
    return {"stored": len(notes)}


@app.get("/pull")
def pull(after: int = 0, limit: int = 500) -> list[Concern]:
    with Session(engine) as session:
        return list(
            session.exec(select(Concern).where(Concern.seq > after).order_by(Concern.seq).limit(limit))
        )
