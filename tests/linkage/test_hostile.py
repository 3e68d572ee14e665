# ruff: noqa: RUF001 (letters of other alphabets are what this is about)
"""Notes as strangers write them: names misheard, transliterated, in the wrong place, in the wrong letters.

Each line is a child who stands on a registry of three thousand and what a note calls it, as given/family. The two
share a date of birth and nothing else. Those who must be linked are; those who may be a brother or a sister never
are, however much of the home agrees.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.linkage.decide import Decision
from server.linkage.standardise import Description, standardise
from server.linkage.table import link_tables
from tests.linkage.measure import index_of
from tests.linkage.population import OBSERVED_ON
from tests.linkage.strata import make_registry

SEED, CHILDREN = 20260305, 3_000

SAME = """
Mohammed/Al-Rashid ~ Mohamed/Alrashid
Abdul Rahman/Saleh ~ Abdurrahman/Salih
Yusuf/Qasim ~ Yousef/Kassem
Khadija/Benali ~ Khadidja/Ben Ali
Fatima Zahra/El Idrissi ~ Fatimazahra/Idrissi
Mustafa/Abu Bakr ~ Moustafa/Aboubakar
Omar/Abdel Aziz ~ Umer/Abdulaziz
Çağla/Yıldız ~ Cagla/Yildiz
Göksel/Güneş ~ Goksel/Gunes
Ayşe/Doğan ~ Aishe/Dogan
İrem/Aydın ~ irem/Aydin
Thị Minh/Nguyễn ~ Minh/Nguyen
Văn Anh/Phạm ~ Anh/Pham
Minh Khoa/Nguyen ~ Nguyen/Minh Khoa
Phuong/Dang ~ Phoung/Dang
Cabdiraxmaan/Jaamac ~ Abdirahman/Jama
Khadra/Cismaan ~ Qadra/Osman
Deeqa/Guuleed ~ Deqa/Guled
Łukasz/Wójcik ~ Lukasz/Wojcik
Jakub/Szczepański ~ Kuba/Szczepanski
Małgorzata/Dąbrowska ~ Gosia/Dabrowska
Tomasz/Jabłoński ~ Tomek/Jablonski
Mosammat Rahima/Khatun ~ Rahima/Khatoon
Md Shofiqul/Islam ~ Shafiqul/Islam
Jannatul/Ferdous ~ Jannat/Ferdous
Fahim/Bhuiyan ~ Faheem/Bhuyan
Дмитро/Коваль ~ Dmytro/Koval
Γιώργος/Παπαδόπουλος ~ Giorgos/Papadopoulos
Björn/Müller ~ Bjoern/Mueller
Xiaoming/Zhang ~ Xiao Ming/Zhang
Yuchen/Xu ~ Yu Chen/Hsu
Wei/Li ~ Li/Wei
Harpreet/Singh ~ Harprit/Singh
Elizabeth/Hartnell ~ Lizzie/Hartnell
Rebecca/Dunn ~ Becks/Dunn
Siobhan/Gallagher ~ Shivawn/Gallacher
Caoimhe/Doyle ~ Keeva/Doyle
Sean/Maguire ~ Shaun/McGuire
Xavier/Beauchamp ~ Zavier/Beecham
Anna/van der Berg ~ Anna/Vanderberg
Anna/Pemberton-Vale ~ Anna/PembertonVale
Anna/O'Sullivan ~ Anna/Sullivan
Anna/MacDiarmid ~ Anna/McDiarmid
Leila/Okonjo ~ Miss Leila/OKONJO
Leila/Okonjo ~ Okonjo/Leila
Leila/Okonjo ~ Okonjo, Leila/
Leila/Okonjo ~ Leila Okonjo/
Leila/Okonjo ~ /Leila Okonjo
Leila/Okonjo ~ /Okonjo Leila
Leila/Okonjo ~ Leila Okonjo/Okonjo
Leila/Okonjo ~ Leila or Layla/Okonjo
Leila/Okonjo ~ Leila poss Layla/Okonjo
Leila/Okonjo ~ Leila (not sure of spelling)/Okonjo
Leila/Okonjo ~ Leila/Okonjo Jr
Leila/Okonjo ~ child Leila/Okonjo family
Leila/Okonjo ~ Lei1a/0konjo
Leila/Okonjo ~ <b>Leila</b>/Okonjo&nbsp;
José/Núñez ~ JosÃ©/NÃºÃ±ez
Ruby/Harcourt ~ Rub\u0443/\u041darcourt
Benjamin/Hargreaves ~ Bemjamin/Hargraves
Charlotte/Whitfield ~ Charlottte/Whitfeild
Thi Minh Anh/Nguyen ~ Nguyen Thi/Minh Anh
Ping Lam/Kwok ~ Kwok Ping/Lam
Thivyan/Sivakumar ~ S. Thivyan/Sivakumar
Zuzanna/Wisniewska ~ Zuzia/Wisniewska
Malgorzata/Kowalska ~ Malgosia/Kowalska
Mykhailo/Tkachenko ~ Mikhail/Tkachenko
Oluwafunmilayo/Balogun ~ Funmilayo/Balogun
Oluwafunmilayo/Balogun ~ Funmi/Balogun
Chukwuebuka/Okafor ~ Ebuka/Okafor
Cabdullahi/Cali ~ Abdullahi/Ali
Abiodun/Sanni ~ Biodun/Sani
Tadhg/O'Connor ~ Tige/OConnor
Yaroslav/Kovalchuk ~ Jaroslaw/Kowalczuk
Nguyen/Thi Bich Ngoc ~ Bich Ngoc/Nguyen
Wei Ling/Ong ~ Weiling/Ong
"""

ANOTHER = """
Hassan/Mirza ~ Hussain/Mirza
Mohammed Ali/Qazi ~ Mohammed Hassan/Qazi
Abdul Rahman/Saleh ~ Abdul Rahim/Saleh
Abdirahman/Farah ~ Abdirahim/Farah
Thi Minh/Nguyen ~ Thi Lan/Nguyen
Van Anh/Tran ~ Van Duc/Tran
Minh Anh/Le ~ Minh Duc/Le
Xin Yi/Chen ~ Xin Yu/Chen
Jia Hao/Lim ~ Jia Wei/Lim
Maria Elena/Popescu ~ Maria Sofia/Popescu
Grace Lily/Ford ~ Lily Rose/Ford
Oluwaseun/Adeyemi ~ Oluwatobi/Adeyemi
Zara/Osman ~ Sara/Osman
Sunil/Rai ~ Sunita/Rai
Daniel/Petrov ~ Daniela/Petrov
Layla/Kareem ~ Lila/Kareem
Harry/Groves ~ Henry/Groves
Aarav/Desai ~ Arnav/Desai
Amina/Yusuf ~ Amira/Yusuf
Jan/Kowal ~ Jakub/Kowal
Yusuf/Yildirim ~ Yunus/Yildirim
Leo/Hart ~ Theo/Hart
Alexander/Dean ~ Alexandra/Dean
Ruby/Harcourt ~ Ruben/Harcourt
Ruby/Harcourt ~ Robyn/Harcourt
Thi Minh Anh/Nguyen ~ Nguyen Thi/Minh Chau
J. Robert/Ames ~ J. Ronan/Ames
Arjun/Pillai ~ Arun/Pillai
Karthik/Rajan ~ Karthika/Rajan
Oluwafunmilayo/Coker ~ Oluwafunmibi/Coker
Aiden/Blunt ~ Caiden/Blunt
Minh Khoa/Dang ~ Minh Khang/Dang
S. Thivyan/Sivakumar ~ S. Abinaya/Sivakumar
Nguyen/Thi Minh Thu ~ Minh Anh/Nguyen
Wei Ling/Goh ~ Wei Lin/Goh
Ming/Zhou ~ Meng/Zhou
Jude/Whelan ~ Judy/Whelan
Wanjiru/Kamau ~ Wanjiku/Kamau
Noah/Peretz ~ Noa/Peretz
Hiroki/Sato ~ Hiroko/Sato
Xiaoyu/Lin ~ Xiaoyi/Lin
Zihan/Lin ~ Zihang/Lin
Hung/Vo ~ Huong/Vo
Jisoo/Yoon ~ Jiwoo/Yoon
Chukwuemeka/Okeke ~ Chukwuebuka/Okeke
Adeola/Bakare ~ Adebola/Bakare
Jagdeep/Gill ~ Jasdeep/Gill
Rajvir/Gill ~ Ranvir/Gill
Aqil/Raza ~ Adil/Raza
Fatima/Raza ~ Fahima/Raza
Ayman/Raza ~ Ayaan/Raza
Inaya/Raza ~ Inara/Raza
Nur Aina/Raza ~ Nur Aida/Raza
Ilhan/Jama ~ Ilham/Jama
Abdisamad/Noor ~ Abdisalam/Noor
Aysel/Demir ~ Ayse/Demir
Serkan/Demir ~ Serhan/Demir
Sian/Nolan ~ Cian/Nolan
Carys/Pugh ~ Cerys/Pugh
Oliver/Marsh ~ Olive/Marsh
Lucia/Marsh ~ Lucy/Marsh
Rhian/Pugh ~ Ryan/Pugh
"""


def told(lines: str) -> list[tuple[str, str]]:
    return [(known, note) for known, note in (line.split(" ~ ") for line in lines.split("\n") if line)]


def names(text: str) -> dict[str, Any]:
    given, family = text.split("/", 1) if not text.startswith("<") else text.rsplit("/", 1)
    return {"given_names": given or None, "family_name": family or None}


def day(at: int) -> datetime.date:
    """A day of birth that no other of the first hundred has, and never 1 January."""
    return datetime.date(2008 + at % 9, 1 + at % 12, 2 + at % 27)


Decided = Callable[[str, str, bool], Decision]


@pytest.fixture(scope="module")
def decided() -> Iterator[Decided]:
    """The decision on a note about a child of the registry, whose number is 0: it is the first. The child's home and
    phone are told where `at_home`."""
    print("seed", SEED)
    people = list(dict.fromkeys(known for known, _ in told(SAME + ANOTHER)))
    born = {known: day(at) for at, known in enumerate(people)}
    home: dict[str, Any] = {"address": "14 Marlow Road", "postcode": "SE15 4QN", "phone": "07700 900123"}
    registry = list(make_registry(CHILDREN, SEED).known.values())
    index, decider = index_of(dict(enumerate(registry)))
    numbers = {}
    for known in people:
        child = Description(date_of_birth=born[known], **names(known), **home)
        numbers[known] = len(index)
        index.add(known, standardise(child))

    def decide(known: str, note: str, at_home: bool) -> Decision:
        about = Description(
            date_of_birth=born[known],
            observed_on=OBSERVED_ON,
            **names(note),
            **(home if at_home else {}),
        )
        decision = decider.decide(standardise(about), index)
        assert decision.outcome != "link" or decision.child_id == numbers[known]
        return decision

    with index:
        yield decide


@pytest.mark.parametrize(("known", "note"), told(SAME))
def test_a_child_is_linked_however_its_name_is_written(decided: Decided, known: str, note: str) -> None:
    assert decided(known, note, False).outcome == "link"


@pytest.mark.parametrize(("known", "note"), told(ANOTHER))
def test_a_name_that_may_be_a_twin_s_is_never_linked(decided: Decided, known: str, note: str) -> None:
    assert decided(known, note, True).outcome != "link"


def test_a_file_that_breaks_the_rules_of_form_is_linked_all_the_same(tmp_path: Path) -> None:
    """Dates as people write them, ages in words, columns that changed places: one row each, all of one child."""
    known = tmp_path / "known.csv"
    known.write_text(
        "child_id,given_names,family_name,date_of_birth,address,postcode,phone,upn,nhs_number\n"
        "c1,Ruby,Harcourt,27 May 2013,14 Consort Road,SE15 3SX,07700 900123,H801200001001,943 476 5919\n"
        "c2,Pearl,Harcourt,02/02/2015,14 Consort Road,SE15 3SX,07700 900123,,\n",
        encoding="utf-8",
    )
    notes = tmp_path / "notes.csv"
    notes.write_text(
        "note_id,observed_on,given_names,family_name,date_of_birth,age,address,postcode,phone,upn,nhs_number\n"
        "day first,2026-03-02,Ruby,Harcourt,27/05/2013,,14 Consort Rd,,,,\n"
        "month in words,02/03/2026,Ruby,Harcourt,27th May 2013,,,SE15 3SX,,,\n"
        "age in words,2 March 2026,Ruby,Harcourt,,about 12,14 Consort Rd,SE153SX,,,\n"
        "time of day,2026-03-02 10:15,Ruby,Harcourt,2013-05-27T00:00:00,,14 Consort Rd,,,,\n"
        "home in the postcode,2026-03-02,Ruby,Harcourt,,12,,14 Consort Road SE15 3SX,,,\n"
        "numbers changed places,2026-03-02,Ruby,Harcourt,,12,,,,943 476 5919,H801200001001\n"
        "phone for number,2026-03-02,Ruby,Harcourt,2013-05-27,,,,,,07700900123\n"
        "both in one,2026-03-02,Ruby Harcourt,,27.5.13,,14 Consort Road,SE15 3SX,,,\n",
        encoding="utf-8",
    )
    out = tmp_path / "links.csv"
    summary = link_tables(known, notes, out)
    assert not summary.unread.count
    rows = [line.split(",") for line in out.read_text(encoding="utf-8").splitlines()[1:]]
    assert [(row[0], row[1], row[2]) for row in rows] == [(row[0], "link", "c1") for row in rows]
