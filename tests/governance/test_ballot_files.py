import json
import subprocess
import sys

import pytest

from governance.ballot_files import command, tables
from governance.methods.ballots import RANKED

TOC = """\
# TITLE: A small poll
# DATA TYPE: toc
# NUMBER ALTERNATIVES: 3
# NUMBER VOTERS: 6
# NUMBER UNIQUE ORDERS: 3
# ALTERNATIVE NAME 1: Ann
# ALTERNATIVE NAME 2: Ben
# ALTERNATIVE NAME 3: None of them
3: 1,2,3
2: 2,{1,3}
1: {1,2,3}
"""
VOTEKIT = """\
VoteKit RankProfile
Candidates
(Ann (of the hill):0),(Ben:1),(Cleo:2)
Max Ranking Length
2
Includes Voter Set
False
=,=,=,=,=,=,=,=,=,=
Ranking_1,Ranking_2,&,Weight,&
{'0'},{'1'},&,2.0,&
"{'1', '2'}",,&,1.0,&
"""


@pytest.fixture
def write(tmp_path):
    def write(content, name="poll.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def counted(path, method, capsys, *more):
    assert command.main([str(path), "--method", method, "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def refused(path, method, capsys):
    assert command.main([str(path), "--method", method, "--json"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    return [line.removeprefix(f"{path}: ") for line in told.err.splitlines()]


# --- What is read ---------------------------------------------------------------------------------
def test_a_preflib_file_is_counted_by_its_names(write, capsys):
    figures = counted(write(TOC, "poll.toc"), "schulze-wv", capsys)

    assert set(figures) == {"method", "winners", "ranking", "pairwise", "steps"}
    assert figures["winners"] == ["Ann"]
    assert figures["pairwise"]["Ben"] == {"Ann": 2, "None of them": 5}


@pytest.mark.parametrize(
    ("kind", "orders"),
    [
        ("soc", "4: 1,2,3\n2: 3,2,1\n"),
        ("soi", "4: 1\n2: 2,1\n"),
        ("toi", "4: {1,2}\n2: 1\n"),
        ("toc", "4: { 1 , 2 },3\n2: {1},{2,3}\n"),
    ],
)
def test_every_kind_of_orders_is_read(kind, orders, write, capsys):
    header = TOC.replace("toc", kind).replace("ORDERS: 3", "ORDERS: 2")
    header = "".join(line + "\n" for line in header.splitlines() if line.startswith("#"))

    assert counted(write(header + orders, f"poll.{kind}"), "irv", capsys)["winners"][0] == "Ann"


@pytest.mark.parametrize(
    ("content", "method", "winners"),
    [
        ("voter,1,2,3\nx,a,b,c\ny,b,a,c\nz,b=a,c,\n", "copeland", ["a", "b"]),
        ("1,2\na,b\nb,\nb,\n", "irv", ["b"]),
        ("options,a,b,c,d\nballots,1,2\n3,a,b\n2,d,\n", "minimax", ["a"]),
        ("ranks,a,b,c\n3,1,2,\n4,,1,2\n", "ranked-pairs", ["b"]),
        ("ranks,a,b,c\n3,1,1,2\n1,2,2,1\n", "schulze-wv", ["a", "b"]),
        ("scores,a,b,c\n3,5,4,\n2,0,5,5\n", "score", ["b"]),
        ("scores,a,b,c\n3,5,4,\n2,0,5,5\n", "star", ["a"]),
        ("scores,a,b,c\n3,5,4,\n2,0,5,5\n", "schulze-margins", ["a"]),
        ("approvals,a,b,c\n3,1,0,\n4,,1,1\n", "approval", ["b", "c"]),
        ("approvals,a,b,c\n3,1,0,\n4,,1,1\n", "copeland", ["b", "c"]),
        ("vote\nyes\nno\nabstain\nyes\n", "yesno", ["yes"]),
        ("ballots,vote\n3,no\n2,yes\n7,abstain\n", "yesno", ["no"]),
        ("ballots,vote\n3,no\n3,yes\n", "yesno", ["yes", "no"]),
        (VOTEKIT, "irv", ["Ann (of the hill)"]),
        (VOTEKIT.replace("\n", "\r\n"), "irv", ["Ann (of the hill)"]),
        ("\ufeffvote\nyes\n", "yesno", ["yes"]),
        (' ranks ,"a, the first", b\n 1 , 1 , 2 \n', "irv", ["a, the first"]),
    ],
)
def test_a_csv_is_read_by_its_header(content, method, winners, write, capsys):
    assert counted(write(content), method, capsys)["winners"] == winners


def test_a_seed_breaks_ties(write, capsys):
    path = write("ballots,vote\n3,no\n3,yes\n")

    found = {counted(path, "yesno", capsys, "--seed", str(n))["winners"][0] for n in range(30)}

    assert found == {"yes", "no"}


def test_people_read_winners_and_ranking(write, capsys):
    assert command.main([str(write(TOC, "poll.toc")), "--method", "copeland"]) == 0

    assert capsys.readouterr().out == (
        "6 ballots for 3 options, counted by copeland.\n"
        "Winner: Ann\n"
        "Ranking:\n"
        "   1. Ann\n"
        "   2. Ben\n"
        "   3. None of them\n"
    )


def test_the_command_runs_as_a_module_without_django(write):
    path = write(TOC, "poll.toc")
    code = (
        "import runpy, sys; sys.argv[1:] = sys.argv[1:];"
        "\ntry: runpy.run_module('governance.tally', run_name='__main__')"
        "\nexcept SystemExit as end: assert end.code == 0"
        "\nassert 'django' not in sys.modules"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, path, "--method", "irv", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["winners"] == ["Ann"]


# --- What is refused ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("3: 1,2,3", "3: 1,2", "line 9: A .toc file ranks every alternative."),
        ("3: 1,2,3", "3: 1,2,4", "line 9: There is no alternative 4."),
        ("3: 1,2,3", "3: 0,1,2", "line 9: There is no alternative 0."),
        ("3: 1,2,3", "3: 1,2,3,3", "line 9: “None of them” is ranked twice."),
        ("3: 1,2,3", "0: 1,2,3", "line 9: “0” is no number of voters."),
        ("3: 1,2,3", "-3: 1,2,3", "line 9: The line is not a number of voters and an order"),
        ("3: 1,2,3", "3: 1,,3", "line 9: The line is not a number of voters and an order"),
        ("3: 1,2,3", "3: {1,{2,3}}", "line 9: The line is not a number of voters and an order"),
        ("3: 1,2,3", "", "line 9: The line is not a number of voters and an order"),
        ("VOTERS: 6", "VOTERS: 7", "line 4: The header's number voters is not 6, as counted."),
        ("ORDERS: 3", "ORDERS: 4", "line 5: The header's number unique orders is not 3,"),
        ("NATIVES: 3", "NATIVES: 4", "line 3: The header's number alternatives is not 3,"),
        ("NAME 2", "NAME 4", "line 3: The alternatives are not numbered from 1 to 3."),
        ("Ben", "Ann", "line 3: Two options are called “Ann”."),
        ("Ben", "", "line 3: An option's name has from 1 to 200 characters."),
        ("TYPE: toc", "TYPE: soc", "line 2: The data type is not that of a .toc file."),
        ("# NUMBER VOTERS: 6\n", "", "line 1: The header's number voters is not 6, as counted."),
    ],
)
def test_a_preflib_file_that_contradicts_itself_is_refused(old, new, told, write, capsys):
    (line,) = refused(write(TOC.replace(old, new), "poll.toc"), "irv", capsys)

    assert line.startswith(told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1: The header is none of those that a CSV file of ballots may have."),
        ("a,b\n1,2\n", "line 1: The header is none of those that a CSV file of ballots may have."),
        ("voter,2,1\n", "line 1: The header is none of those that a CSV file of ballots may have."),
        ("voter,1,2\n", "line 1: The file holds no ballot."),
        ("voter,1,2\nx,a,a\n", "line 2: “a” is ranked twice."),
        ("voter,1,2\nx,a=a,\n", "line 2: “a” is ranked twice."),
        ("voter,1,2\nx,,a\n", "line 2: A rank is empty, but a later one is not."),
        ("voter,1,2\nx,a,b\n\n", "line 3: The line is blank."),
        ("voter,1,2\nx,a,b,\n", "line 2: The line has 4 cells, the header 3."),
        ("voter,1,2\nx,a,b\ny,c,\n", "line 3: With this line the file names more options"),
        ("options,a,b\nvoter,1,2\ny,c,\n", "line 3: “c” is not an option of this poll."),
        ("options,a,a\nvoter,1,2\n", "line 1: Two options are called “a”."),
        ("ballots,1,2\n0,a,b\n", "line 2: “0” is no number of voters."),
        ("ballots,1,2\n1.5,a,b\n", "line 2: “1.5” is no number of voters."),
        ("ranks,a,b\n1,1,3\n", "line 2: The ranks are not 1, 2, 3 and so on without a gap."),
        ("ranks,a,b\n1,0,1\n", "line 2: “0” is no whole number from 1 to 500."),
        ("ranks,a,b\n1,x,1\n", "line 2: “x” is no whole number from 1 to 500."),
        ("ranks\n1\n", "line 1: A file names from 1 to 500 options."),
        ('ranks,a,b\n1,"1,2\n', "line 2: The line is no CSV: unexpected end of data."),
        (b"ranks,a,b\n1,1,2\n1,\xff,2\n", "line 3: The line is not UTF-8."),
        (VOTEKIT.replace("{'0'}", "{'9'}"), "line 10: There is no candidate with the label 9."),
        (VOTEKIT.replace("{'1'}", "{'0'}"), "line 10: “Ann (of the hill)” is ranked twice."),
        (VOTEKIT.replace("{'1'}", "1"), "line 10: A rank is not a set of labels"),
        (VOTEKIT.replace("2.0", "2.5"), "line 10: “2.5” is no number of voters."),
        (VOTEKIT.replace("2.0,&", "2.0"), "line 10: The line is not 2 ranks and a weight."),
        (VOTEKIT.replace("{'0'}", ""), "line 10: A rank is empty, but a later one is not."),
        (VOTEKIT.replace("\n2\n", "\n3\n"), "line 9: The number of ranks is not the one"),
        (VOTEKIT.replace("(Ben:1)", "Ben"), "line 3: A candidate is not (name:label)"),
        (VOTEKIT.replace("(Ben:1)", "(Ben:0)"), "line 3: A candidate is not (name:label)"),
        (VOTEKIT.replace("Candidates", "Options"), "line 2: The line is not Candidates."),
        ("VoteKit RankProfile\n", "line 1: The line is not Candidates."),
    ],
)
def test_a_csv_with_a_bad_line_is_refused(content, told, write, capsys):
    (line,) = refused(write(content), "irv", capsys)

    assert line.startswith(told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("scores,a,b\n1,6,1\n", "line 2: “6” is no whole number from 0 to 5."),
        ("scores,a,b\n1,-1,1\n", "line 2: “-1” is no whole number from 0 to 5."),
        ("scores,a,b\n1,1.5,1\n", "line 2: “1.5” is no whole number from 0 to 5."),
    ],
)
def test_points_out_of_range_are_refused(content, told, write, capsys):
    assert refused(write(content), "score", capsys) == [told]


def test_a_vote_is_yes_no_or_abstain(write, capsys):
    told = refused(write("vote\nyes\nmaybe\nNO\n"), "yesno", capsys)

    assert told == [f"line {n}: A vote is yes, no or abstain." for n in (3, 4)]


def test_every_bad_line_is_told(write, capsys):
    lines = "".join(f"v,{'a' if n % 2 else 'b'},b\n" for n in range(10))

    told = refused(write("voter,1,2\n" + lines), "irv", capsys)

    assert [line.split(":")[0] for line in told] == [f"line {n}" for n in range(2, 12, 2)]


def test_bad_lines_beyond_a_hundred_are_counted(write, capsys):
    told = refused(write("vote\n" + "x\n" * 250), "yesno", capsys)

    assert len(told) == 101
    assert told[-1] == "150 more bad lines."


@pytest.mark.parametrize(
    ("content", "method", "told"),
    [
        ("ranks,a,b\n1,1,2\n", "approval", f"counted by {', '.join(RANKED)}."),
        ("scores,a,b\n1,1,2\n", "approval", "counted by score, star, irv"),
        ("approvals,a,b\n1,1,0\n", "score", "counted by approval, irv"),
        ("vote\nyes\n", "irv", "The file holds votes, which are counted by yesno."),
    ],
)
def test_a_method_refuses_ballots_that_do_not_say_what_it_counts(
    content, method, told, write, capsys
):
    (line,) = refused(write(content), method, capsys)

    assert told in line


def test_other_files_are_refused(write, capsys, tmp_path):
    assert "ends in one of .soc" in refused(write("", "poll.xlsx"), "irv", capsys)[0]
    assert "cannot be opened" in refused(tmp_path / "none.csv", "irv", capsys)[0]


def test_the_options_of_a_file_are_in_the_order_in_which_it_names_them():
    assert tables.read("voter,1,2,3\nx,c,b=a,\n").options == ["c", "b", "a"]
